// One call of ethtool's ioctl. Knows no command: the structures of linux/ethtool.h are written and
// read by src/host/ethtool.ts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace rxscope {

// mlx5 devices with 20,000 statistics have been seen, 32 bytes a name: several times that.
constexpr size_t kEthtoolBytesMax = size_t{4} << 20;

// Makes the call for a device of the calling thread's network namespace, with `buffer` as the
// command's structure. Returns 0, or the errno with the buffer unchanged: EINVAL for a name that no
// device can have, EFAULT where the answer needs more than the buffer. Throws Failure where the
// call could not be made at all.
int CallEthtool(const std::string& device, std::span<uint8_t> buffer);

}  // namespace rxscope
