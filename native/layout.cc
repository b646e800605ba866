// Walks BTF.
// SPDX-License-Identifier: Apache-2.0
#include "layout.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include <string_view>

#include "error.h"

namespace rxscope {
namespace {

// A name of the object's BTF; empty where a broken one has none.
std::string_view NameAt(const btf* types, __u32 offset) {
  const char* name = btf__name_by_offset(types, offset);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

}  // namespace

Layout LayoutOf(const bpf_object* object, const std::string& struct_name) {
  const std::string action = "lay out struct " + struct_name;
  const btf* types = bpf_object__btf(object);
  if (types == nullptr)
    throw Failure("layout", ENOENT, action, "the object has no BTF; compile it with -g");
  const int id = btf__find_by_name_kind(types, struct_name.c_str(), BTF_KIND_STRUCT);
  if (id < 0) throw Failure("layout", id, action, "the object's BTF has no such struct");

  const btf_type* type = btf__type_by_id(types, static_cast<__u32>(id));
  Layout layout{type->size, {}};
  for (__u32 index = 0; index < btf_vlen(type); index++) {
    const btf_member& member = btf_members(type)[index];
    const std::string name(NameAt(types, member.name_off));
    if (name.empty() || btf_member_bitfield_size(type, index) != 0) continue;
    const __s64 size = btf__resolve_size(types, member.type);
    if (size < 0) throw Failure("layout", static_cast<int>(size), action + "'s member " + name);
    layout.members.push_back(
        {name, btf_member_bit_offset(type, index) / 8, static_cast<size_t>(size)});
  }
  return layout;
}

Variable FindConst(const bpf_object* object, const std::string& name) {
  const std::string action = "set the constant " + name;
  const btf* types = bpf_object__btf(object);
  if (types == nullptr)
    throw Failure("set_const", ENOENT, action, "the object has no BTF; compile it with -g");
  for (__u32 id = 1; id < btf__type_cnt(types); id++) {
    const btf_type* section = btf__type_by_id(types, id);
    if (!btf_is_datasec(section)) continue;
    const std::string_view section_name = NameAt(types, section->name_off);
    if (!section_name.starts_with(".rodata")) continue;
    for (__u32 index = 0; index < btf_vlen(section); index++) {
      const btf_var_secinfo& place = btf_var_secinfos(section)[index];
      const btf_type* variable = btf__type_by_id(types, place.type);
      if (variable == nullptr || name != NameAt(types, variable->name_off)) continue;
      return {std::string(section_name), place.offset, place.size};
    }
  }
  throw Failure("set_const", ENOENT, action,
                "the object has no `const volatile` global of that name");
}

}  // namespace rxscope
