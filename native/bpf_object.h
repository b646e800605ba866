// Owns one BPF object of libbpf with its links and mapped maps, and turns each refusal into a
// Failure that names the program or map. Knows nothing of JavaScript, and takes no decision: the
// caller says which programs are loaded and attached.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layout.h"
#include "mapping.h"

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct bpf_program;

namespace rxscope {

struct ProgramState {
  std::string name;
  std::string section;
  bool autoload;
  bool loaded;
  bool attached;
};

struct ProgramStats {
  uint64_t run_time_ns;
  uint64_t runs;
};

class BpfObject {
 public:
  explicit BpfObject(std::string path);
  ~BpfObject();
  BpfObject(const BpfObject&) = delete;
  BpfObject& operator=(const BpfObject&) = delete;

  void SetConst(const std::string& name, std::span<const uint8_t> value);
  void SetMaxEntries(const std::string& map, uint32_t entries);
  void SetAutoload(const std::string& program, bool autoload);
  void Load();

  void Attach(const std::string& program);
  // Harmless for a program that is not attached.
  void Detach(const std::string& program);
  std::vector<ProgramState> Programs() const;
  ProgramStats StatsOf(const std::string& program) const;

  size_t MapBytes(const std::string& map) const;
  void Read(const std::string& map, size_t offset, std::span<uint8_t> into);
  // Adds up the counters of some values of a map; `words` of each, as many as `sums` has room for.
  void Sum(const std::string& map, std::span<const uint8_t> indices, std::span<uint8_t> sums);
  void Write(const std::string& map, size_t offset, std::span<const uint8_t> from);
  void Write32(const std::string& map, size_t offset, uint32_t value);
  Layout LayoutOfStruct(const std::string& name) const;

  // The descriptor of a loaded perf event array; stays the object's.
  int PerfEventArray(const std::string& map) const;

 private:
  struct Close {
    void operator()(bpf_object* object) const;
    void operator()(bpf_link* link) const;
  };
  enum class State { kOpen, kLoaded, kFailed };

  bpf_program* Program(const char* operation, const std::string& name) const;
  bpf_map* Map(const char* operation, const std::string& name) const;
  void MustNotBeLoaded(const char* operation, const std::string& action) const;
  void MustBeLoaded(const char* operation, const std::string& action) const;
  void MustBeWritable(const Mapping& mapping, const std::string& map) const;
  Mapping& MappingFor(const std::string& map, const char* verb, size_t offset, size_t bytes);

  const std::string path_;
  State state_ = State::kOpen;
  // Destroyed from the last to the first: mappings and links go before the object.
  std::unique_ptr<bpf_object, Close> object_;
  std::map<std::string, std::unique_ptr<bpf_link, Close>> links_;
  std::map<std::string, Mapping> mappings_;
};

}  // namespace rxscope
