// One question to the kernel's routing socket: a dump, such as that of all links. Moves bytes; what
// is asked and what the answer means is src/host/links.ts' business.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rxscope {

// A link takes about 2 KiB, so this is room for thousands.
constexpr size_t kRouteDumpBytesMax = size_t{16} << 20;

// Sends `request`, a complete message that asks for a dump, and returns the messages of the answer
// without the one that ends it. Asks of the network namespace of the calling thread. Throws Failure.
std::vector<uint8_t> RouteDump(std::span<const uint8_t> request);

}  // namespace rxscope
