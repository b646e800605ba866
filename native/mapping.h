// One map's memory as the kernel shares it with user space: mapped once, read and written with
// whole accesses of eight bytes (or four, to write) and no system call. Orders nothing between two words: a reader that
// needs several of them to agree must bring its own protocol.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

struct bpf_map;

namespace rxscope {

class Mapping {
 public:
  // `name` is what the caller knows the map by: libbpf's own name of global data is cut short.
  // Throws Failure when the map cannot be mapped.
  Mapping(const std::string& name, const bpf_map* map);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Bytes of a map's values, which is also what both calls below may reach. Works before load.
  // Throws Failure when such a map has no memory to share.
  static size_t BytesOf(const std::string& name, const bpf_map* map);

  // The caller has checked the bounds, and that the offset (for Write: the length too) is a
  // multiple of eight.
  void Read(size_t offset, uint8_t* into, size_t bytes) const;
  void Write(size_t offset, const uint8_t* from, size_t bytes);
  // The same for half a word: the offset is a multiple of four.
  void Write32(size_t offset, uint32_t value);
  // Adds `words` counters, from this offset on, to those there.
  void AddTo(size_t offset, uint64_t* sums, size_t words) const;

  bool writable() const { return writable_; }

 private:
  uint64_t* words_ = nullptr;
  size_t mapped_bytes_ = 0;
  bool writable_ = true;
};

}  // namespace rxscope
