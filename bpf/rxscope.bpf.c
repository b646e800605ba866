// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The hooks: one program for each kernel event and each way of attaching to it. The probes' own
 * logic is in the header that bears the probe's name; several probes share a hook, and one program
 * serves them all (dispatch.h), because entering a program costs more than most of what it does.
 *
 * A program is called <hook>__<rung>. src/capture/hooks.ts lists the rungs in order of preference;
 * one of each hook is loaded. They differ in how they are attached and in how they reach the kernel's
 * memory (enum access), which LOAD() hides.
 */
#include "hooks_interrupts.h"
#include "hooks_packets.h"
#include "hooks_waits.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
