// /proc/net/softnet_stat: what the network stack counted on each CPU. Parses and reads; keeps nothing,
// so it neither undoes the wrap of these 32-bit counts (`counts32.ts`) nor remembers offline CPUs.
//
// The file has no header. One line for each online CPU, ascending, in hexadecimal words; the kernel's
// version shows in their number only (net/core/net-procfs.c, softnet_seq_show):
//
//   words   kernel
//   10      none that can run the agent; what imitates the file may
//   11      to 5.9
//   13      from 5.10 (7d58e6555870 "net-sysfs: add backlog len and CPU id to softnet data")
//   15      from 6.4 (59da2d7b0e99 "net-sysfs: display two backlog queue len separately")
//
//   word  what it is
//   0     processed       packets handed to the protocols: __netif_receive_skb_core, once for each
//                         device that a packet passes, so twice for one of a VLAN or a bridge; after
//                         GRO, so a merged packet counts once
//   1     dropped         packets that found this CPU's backlog full: enqueue_to_backlog; on older
//                         kernels (5.10) also those of a device that went down meanwhile
//   2     time_squeeze    runs of NET_RX that ended with work left, budget or time being used up:
//                         net_rx_action
//   3-7   0               was fastroute
//   8     0               was cpu_collision, about transmission
//   9     received_rps    interprocessor interrupts that woke this CPU for RPS, not packets:
//                         rps_trigger_softirq; stays 0 where backlog threads do that work (PREEMPT_RT)
//   10    flow_limit      packets that a flow limit of this CPU dropped as it steered them elsewhere:
//                         skb_flow_limit. `dropped` has each too, but of the CPU that they were meant
//                         for. Starts anew when net.core.flow_limit_cpu_bitmap omits and names the CPU
//   11    backlog length  packets in both queues of the backlog now; a gauge
//   12    CPU
//   13    input queue     packets that other CPUs and netif_rx() put there; part of word 11
//   14    process queue   packets that the CPU has taken over to process; the rest of word 11
//
// It is the same in every network namespace: the kernel keeps these for the machine.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCpuList } from './cpus.ts';
import { HOST_ROOTS, type Roots } from './roots.ts';

/** Counts since boot, modulo 2^32. */
export interface SoftnetRow {
  readonly processed: number;
  readonly dropped: number;
  readonly timesSqueezed: number;
  readonly receivedRps: number;
  /** Undefined where the file ends before it. */
  readonly flowLimit: number | undefined;
  /** Waiting now. Undefined before Linux 5.10, which does not tell. */
  readonly backlogPackets: number | undefined;
}

/** Those that only rise. */
export type SoftnetCount = Exclude<keyof SoftnetRow, 'backlogPackets'>;
export const SOFTNET_COUNTS: readonly SoftnetCount[] = [
  'processed',
  'dropped',
  'timesSqueezed',
  'receivedRps',
  'flowLimit',
];

/** What is there up to this word has been there for longer than any kernel that can run the agent. */
const WORDS_MIN = 10;
/** Every such kernel has these; who has less is no kernel. */
const WORDS_OF_KERNELS = 11;
const CPU_WORD = 12;
/** CPUs come and go within milliseconds at most; a file that still does not fit has another form. */
const TRIES_MAX = 3;

/** By CPU; offline CPUs are absent. Throws when the file cannot be read or understood. */
export function readSoftnet(roots: Roots = HOST_ROOTS): ReadonlyMap<number, SoftnetRow> {
  const path = join(roots.proc, 'net/softnet_stat');
  let text = readFileSync(path, 'utf8');
  const rows = parseSoftnet(text);
  if (rows.size > 0) return rows;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const before = onlineCpus(roots);
    text = readFileSync(path, 'utf8');
    // A CPU that went or came meanwhile would shift the rows of those after it.
    if (onlineCpus(roots) !== before) continue;
    const numbered = parseSoftnet(text, parseCpuList(before));
    if (numbered.size > 0) return numbered;
  }
  throw new Error(`${path}: ${whyUnusable(text, parseCpuList(onlineCpus(roots)).length)}`);
}

/** What the rows that were read lack, as a sentence; undefined when they are a kernel's. */
export function lackingInSoftnet(rows: ReadonlyMap<number, SoftnetRow>): string | undefined {
  const lacks = [...rows.values()].some(({ flowLimit }) => flowLimit === undefined);
  return lacks
    ? `net/softnet_stat has too few columns, ${WORDS_MIN} where kernels have ${WORDS_OF_KERNELS} or more: what the flow limit dropped is not told`
    : undefined;
}

function whyUnusable(text: string, online: number): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) return 'it is empty: is it hidden by a container runtime?';
  const columns = lines.map((line) => wordsOf(line).length);
  const fewest = Math.min(...columns);
  if (fewest === 0) return 'a line of it is not made of hexadecimal numbers';
  if (fewest < WORDS_MIN)
    return `a line of it has too few columns, ${fewest}, where kernels have ${WORDS_OF_KERNELS} or more`;
  return `its ${lines.length} lines have too few columns, ${fewest}, to name their CPUs, as they do from Linux 5.10 on, and ${online} CPUs are online`;
}

/**
 * Lines without a CPU of their own belong to the CPUs of `online`, ascending, if there is one line for
 * each. If not, whose they are is unknown, and they are left out, as are lines of another form.
 */
export function parseSoftnet(
  text: string,
  online: readonly number[] = [],
): ReadonlyMap<number, SoftnetRow> {
  const rows = new Map<number, SoftnetRow>();
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const numbered = lines.length === online.length;
  for (const [index, line] of lines.entries()) {
    const words = wordsOf(line);
    const cpu = words[CPU_WORD] ?? (numbered ? online[index] : undefined);
    const row = rowOf(words);
    if (cpu !== undefined && row !== undefined) rows.set(cpu, row);
  }
  return rows;
}

function rowOf(words: readonly number[]): SoftnetRow | undefined {
  if (words.length < WORDS_MIN) return undefined;
  const [processed = 0, dropped = 0, timesSqueezed = 0] = words;
  const [receivedRps = 0, flowLimit, backlogPackets] = words.slice(9);
  return { processed, dropped, timesSqueezed, receivedRps, flowLimit, backlogPackets };
}

/** Empty when one of them is no hexadecimal number of 32 bits. */
function wordsOf(line: string): number[] {
  const words = line.trim().split(/\s+/);
  if (!words.every((word) => /^[0-9a-f]{1,8}$/i.test(word))) return [];
  return words.map((word) => Number.parseInt(word, 16));
}

function onlineCpus(roots: Roots): string {
  return readFileSync(join(roots.sys, 'devices/system/cpu/online'), 'utf8');
}
