// Walks the BTF of the kernel and of its modules. Everything that is parsed is freed before the
// return: the kernel's types take some tens of megabytes while they are looked at.
// SPDX-License-Identifier: Apache-2.0
#include "kernel_types.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "error.h"
#include "log_tail.h"

namespace rxscope {
namespace {

constexpr const char* kFolder = "/sys/kernel/btf";
constexpr const char* kKernel = "vmlinux";

struct Free {
  void operator()(btf* types) const { btf__free(types); }
};
using Types = std::unique_ptr<btf, Free>;

// Adds the enums of types from number `first` on.
void Collect(const btf* types, __u32 first, std::string_view part, std::vector<Enum>& into) {
  for (__u32 id = first; id < btf__type_cnt(types); id++) {
    const btf_type* type = btf__type_by_id(types, id);
    const bool is_enum64 = btf_is_enum64(type);
    if (!is_enum64 && !btf_is_enum(type)) continue;
    const char* name = btf__name_by_offset(types, type->name_off);
    if (name == nullptr || std::string_view(name).find(part) == std::string_view::npos) continue;
    // One that is only declared has no values; the definition is a type of its own.
    if (btf_vlen(type) == 0) continue;
    Enum found{name, {}};
    const bool is_signed = btf_kflag(type);
    for (__u32 index = 0; index < btf_vlen(type); index++) {
      __u32 name_off = 0;
      int64_t value = 0;
      if (is_enum64) {
        const struct btf_enum64& item = btf_enum64(type)[index];
        name_off = item.name_off;
        value = static_cast<int64_t>(btf_enum64_value(&item));
      } else {
        const struct btf_enum& item = btf_enum(type)[index];
        name_off = item.name_off;
        value = is_signed ? item.val : static_cast<int64_t>(static_cast<__u32>(item.val));
      }
      const char* value_name = btf__name_by_offset(types, name_off);
      if (value_name != nullptr) found.values.emplace_back(value_name, value);
    }
    into.push_back(std::move(found));
  }
}

std::vector<std::string> Modules() {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(kFolder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename();
    if (name != kKernel) names.push_back(std::move(name));
  }
  // A kernel whose BTF lies in a file under /boot has no such folder, and no BTF of modules.
  std::sort(names.begin(), names.end());
  return names;
}

// Gives freed memory back to the system, which malloc may keep otherwise: megabytes in small pieces.
struct TrimAtEnd {
  ~TrimAtEnd() { malloc_trim(0); }
};

}  // namespace

Enums KernelEnums(std::string_view part) {
  Enums told;
  // The first to be made is the last to go.
  const TrimAtEnd trim;
  // What libbpf prints about types that it cannot read is said by the error already.
  const LogTail quiet;
  const Types kernel(btf__load_vmlinux_btf());
  // libbpf says ESRCH when it has looked everywhere in vain.
  if (kernel == nullptr)
    throw Failure("types", errno == ESRCH ? ENOENT : errno, "read the kernel's types",
                  "it has no BTF that can be read: built without CONFIG_DEBUG_INFO_BTF?");
  Collect(kernel.get(), 1, part, told.enums);
  for (const std::string& name : Modules()) {
    const std::string path = std::string(kFolder) + "/" + name;
    const Types module(btf__parse_split(path.c_str(), kernel.get()));
    // It may have been unloaded since, which is indistinguishable and as harmless.
    if (module == nullptr)
      told.unread_modules.push_back(name);
    else
      Collect(module.get(), btf__type_cnt(kernel.get()), part, told.enums);
  }
  return told;
}

}  // namespace rxscope
