// Reads enums from the running kernel's own BTF: numbers that differ between kernels, with their
// names. What they mean is decided in TypeScript.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rxscope {

struct Enum {
  std::string name;
  // In the order of the declaration.
  std::vector<std::pair<std::string, int64_t>> values;
};

struct Enums {
  std::vector<Enum> enums;
  // Modules whose BTF could not be read: built for another kernel, for example.
  std::vector<std::string> unread_modules;
};

// All enums whose name contains `part`: of the kernel first, then of each module that is loaded.
// An enum of a header is in the kernel's BTF, and not again in those of modules. Throws Failure where
// the kernel has no BTF.
Enums KernelEnums(std::string_view part);

}  // namespace rxscope
