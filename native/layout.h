// Reads from an object's BTF what TypeScript must know about C: where the members of a struct lie
// and where a read-only variable lives. Changes nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

struct bpf_object;

namespace rxscope {

struct Member {
  std::string name;
  size_t offset;
  size_t size;
};

struct Layout {
  size_t size;
  std::vector<Member> members;
};

// Named members only, each at a whole byte: bit fields and what lies inside an anonymous struct or
// union are left out. Throws Failure when the object knows no such struct.
Layout LayoutOf(const bpf_object* object, const std::string& struct_name);

struct Variable {
  std::string section;
  size_t offset;
  size_t size;
};

// Finds a global of one of the `.rodata` sections; throws Failure when there is none of that name.
Variable FindConst(const bpf_object* object, const std::string& name);

}  // namespace rxscope
