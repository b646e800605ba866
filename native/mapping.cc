// Maps array maps and global data.
// SPDX-License-Identifier: Apache-2.0
#include "mapping.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "error.h"

namespace rxscope {
namespace {

constexpr size_t kWord = sizeof(uint64_t);

size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

size_t Mapping::BytesOf(const std::string& name, const bpf_map* map) {
  if (bpf_map__type(map) != BPF_MAP_TYPE_ARRAY || !(bpf_map__map_flags(map) & BPF_F_MMAPABLE))
    throw Failure("map", EINVAL, "map the memory of " + name,
                  "only arrays with BPF_F_MMAPABLE and global data can be mapped")
        .Map(name);
  return RoundUp(bpf_map__value_size(map), kWord) * bpf_map__max_entries(map);
}

Mapping::Mapping(const std::string& name, const bpf_map* map)
    : mapped_bytes_(RoundUp(BytesOf(name, map), static_cast<size_t>(sysconf(_SC_PAGESIZE)))) {
  const int fd = bpf_map__fd(map);
  void* memory = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED && errno == EPERM) {
    // Frozen, as read-only data is after load.
    writable_ = false;
    memory = mmap(nullptr, mapped_bytes_, PROT_READ, MAP_SHARED, fd, 0);
  }
  if (memory == MAP_FAILED)
    throw Failure("map", errno, "map the memory of " + name).Map(name);
  words_ = static_cast<uint64_t*>(memory);
}

Mapping::~Mapping() { munmap(words_, mapped_bytes_); }

void Mapping::Read(size_t offset, uint8_t* into, size_t bytes) const {
  const uint64_t* from = words_ + offset / kWord;
  while (bytes > 0) {
    const uint64_t word = __atomic_load_n(from++, __ATOMIC_RELAXED);
    const size_t part = bytes < kWord ? bytes : kWord;
    // The destination is a view into a JavaScript buffer and may begin at any byte.
    std::memcpy(into, &word, part);
    into += part;
    bytes -= part;
  }
}

void Mapping::Write(size_t offset, const uint8_t* from, size_t bytes) {
  uint64_t* into = words_ + offset / kWord;
  for (; bytes > 0; bytes -= kWord, from += kWord) {
    uint64_t word;
    std::memcpy(&word, from, kWord);
    __atomic_store_n(into++, word, __ATOMIC_RELAXED);
  }
}

void Mapping::Write32(size_t offset, uint32_t value) {
  auto* into = reinterpret_cast<uint32_t*>(reinterpret_cast<uint8_t*>(words_) + offset);
  __atomic_store_n(into, value, __ATOMIC_RELAXED);
}

void Mapping::AddTo(size_t offset, uint64_t* sums, size_t words) const {
  const uint64_t* from = words_ + offset / kWord;
  for (size_t i = 0; i < words; i++) sums[i] += __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

}  // namespace rxscope
