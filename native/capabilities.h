// Takes capabilities away from every thread of this process, for good. Which ones is decided in
// src/agent/privileges.ts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace rxscope {

// Sets of capabilities have 64 bits in the kernel's interface.
constexpr uint8_t kCapabilitiesMax = 64;

struct Dropped {
  // Threads that were there at the end, each of them checked.
  size_t threads;
  // Whether the bounding set could be lowered too, which takes CAP_SETPCAP.
  bool bounding_set;
};

// Leaves each thread at most the capabilities of `keep`, a mask with one bit for each, in all of its
// sets, and no way to gain others by executing a program (no_new_privs). Threads that are created
// later inherit that. Throws Failure when a thread cannot be reached; those reached stay without.
Dropped DropCapabilities(uint64_t keep);

}  // namespace rxscope
