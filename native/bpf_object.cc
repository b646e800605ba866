// Drives libbpf.
// SPDX-License-Identifier: Apache-2.0
#include "bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "error.h"
#include "log_tail.h"
#include "signals_blocked.h"

namespace rxscope {

BpfObject::BpfObject(std::string path) : path_(std::move(path)) {
  LogTail log;
  object_.reset(bpf_object__open_file(path_.c_str(), nullptr));
  if (object_ == nullptr) {
    const int error = errno;
    throw Failure("open", error, "open " + path_).Log(log.Text());
  }
}

BpfObject::~BpfObject() = default;

void BpfObject::Close::operator()(bpf_object* object) const { bpf_object__close(object); }

void BpfObject::Close::operator()(bpf_link* link) const { bpf_link__destroy(link); }

void BpfObject::SetConst(const std::string& name, std::span<const uint8_t> value) {
  const std::string action = "set the constant " + name;
  MustNotBeLoaded("set_const", action);
  const Variable variable = FindConst(object_.get(), name);
  if (variable.size != value.size())
    throw Failure("set_const", EINVAL, action,
                  "it has " + std::to_string(variable.size) + " bytes, the value has " +
                      std::to_string(value.size()));
  bpf_map* map = Map("set_const", variable.section);
  size_t bytes = 0;
  // libbpf declares this pointer const, and lets a skeleton write through the same one.
  auto* data = static_cast<uint8_t*>(const_cast<void*>(bpf_map__initial_value(map, &bytes)));
  if (data == nullptr || variable.offset + variable.size > bytes)
    throw Failure("set_const", EINVAL, action, "its section has no data").Map(variable.section);
  if (!value.empty()) std::memcpy(data + variable.offset, value.data(), value.size());
}

void BpfObject::SetMaxEntries(const std::string& name, uint32_t entries) {
  const std::string action = "resize map " + name;
  MustNotBeLoaded("resize", action);
  bpf_map* map = Map("resize", name);
  // libbpf would believe it, and unmap so much beyond the section's memory.
  if (bpf_map__is_internal(map))
    throw Failure("resize", EINVAL, action, "global data has one entry").Map(name);
  const int error = bpf_map__set_max_entries(map, entries);
  if (error != 0) throw Failure("resize", error, action).Map(name);
}

void BpfObject::SetAutoload(const std::string& name, bool autoload) {
  const std::string action = "choose whether to load program " + name;
  MustNotBeLoaded("autoload", action);
  const int error = bpf_program__set_autoload(Program("autoload", name), autoload);
  if (error != 0) throw Failure("autoload", error, action).Program(name);
}

void BpfObject::Load() {
  MustNotBeLoaded("load", "load " + path_);
  const SignalsBlocked quiet;
  LogTail log;
  const int error = bpf_object__load(object_.get());
  if (error != 0) {
    // libbpf has let go of every descriptor, and refuses a second try.
    state_ = State::kFailed;
    // A program is refused after all maps stand: what was said of a map before is history then.
    const std::string& program = log.program();
    const std::string map = program.empty() ? log.map() : "";
    const std::string what = !program.empty() ? "program " + program
                             : !map.empty()   ? "map " + map
                                              : path_;
    throw Failure("load", error, "load " + what).Program(program).Map(map).Log(log.Text());
  }
  state_ = State::kLoaded;
}

void BpfObject::Attach(const std::string& name) {
  const std::string action = "attach program " + name;
  bpf_program* program = Program("attach", name);
  MustBeLoaded("attach", action);
  if (bpf_program__fd(program) < 0)
    throw Failure("attach", EINVAL, action, "it was excluded from loading").Program(name);
  if (links_.contains(name))
    throw Failure("attach", EALREADY, action, "it is attached already").Program(name);
  const SignalsBlocked quiet;
  LogTail log;
  bpf_link* link = bpf_program__attach(program);
  if (link == nullptr) {
    const int error = errno;
    throw Failure("attach", error, action).Program(name).Log(log.Text());
  }
  links_[name].reset(link);
}

void BpfObject::Detach(const std::string& name) {
  Program("detach", name);
  const auto found = links_.find(name);
  if (found == links_.end()) return;
  bpf_link* link = found->second.release();
  links_.erase(found);
  // The link is freed even where taking it down was refused.
  const int error = bpf_link__destroy(link);
  if (error != 0) throw Failure("detach", error, "detach program " + name).Program(name);
}

std::vector<ProgramState> BpfObject::Programs() const {
  std::vector<ProgramState> states;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(object_.get(), program)) != nullptr) {
    const std::string name = bpf_program__name(program);
    states.push_back({name, bpf_program__section_name(program), bpf_program__autoload(program),
                      bpf_program__fd(program) >= 0, links_.contains(name)});
  }
  return states;
}

ProgramStats BpfObject::StatsOf(const std::string& name) const {
  const std::string action = "read the statistics of program " + name;
  const bpf_program* program = Program("stats", name);
  MustBeLoaded("stats", action);
  if (bpf_program__fd(program) < 0)
    throw Failure("stats", EINVAL, action, "it was excluded from loading").Program(name);
  bpf_prog_info info{};
  __u32 bytes = sizeof(info);
  const int error = bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes);
  if (error != 0) throw Failure("stats", error, action).Program(name);
  return {info.run_time_ns, info.run_cnt};
}

size_t BpfObject::MapBytes(const std::string& name) const {
  return Mapping::BytesOf(name, Map("map", name));
}

void BpfObject::Read(const std::string& name, size_t offset, std::span<uint8_t> into) {
  MappingFor(name, "read", offset, into.size()).Read(offset, into.data(), into.size());
}

void BpfObject::Sum(const std::string& name, std::span<const uint8_t> indices,
                    std::span<uint8_t> sums) {
  if (indices.size() % sizeof(uint32_t) != 0 || sums.size() % sizeof(double) != 0)
    throw Failure("map", EINVAL, "sum map " + name, "not all indices or sums are whole")
        .Map(name);
  const size_t words = sums.size() / sizeof(double);
  std::vector<uint32_t> places(indices.size() / sizeof(uint32_t));
  std::vector<uint64_t> totals(words, 0);
  // What is empty may have no address at all, which memcpy must not be given.
  if (!places.empty()) {
    std::memcpy(places.data(), indices.data(), places.size() * sizeof(uint32_t));
    const size_t bytes = words * sizeof(uint64_t);
    const size_t last = *std::max_element(places.begin(), places.end());
    const Mapping& mapping = MappingFor(name, "sum", last * bytes, bytes);
    for (const uint32_t place : places) mapping.AddTo(place * bytes, totals.data(), words);
  }
  const std::vector<double> numbers(totals.begin(), totals.end());
  if (words > 0) std::memcpy(sums.data(), numbers.data(), words * sizeof(double));
}

void BpfObject::Write(const std::string& name, size_t offset, std::span<const uint8_t> from) {
  Mapping& mapping = MappingFor(name, "write", offset, from.size());
  if (from.size() % sizeof(uint64_t) != 0)
    throw Failure("map", EINVAL, "write map " + name,
                  "a length of " + std::to_string(from.size()) + " is no multiple of eight")
        .Map(name);
  MustBeWritable(mapping, name);
  mapping.Write(offset, from.data(), from.size());
}

void BpfObject::Write32(const std::string& name, size_t offset, uint32_t value) {
  constexpr size_t kHalf = sizeof(uint32_t);
  // The word that it is half of lies in the map, as all of them do whole.
  Mapping& mapping = MappingFor(name, "write", offset - offset % sizeof(uint64_t), sizeof(uint64_t));
  if (offset % kHalf != 0)
    throw Failure("map", EINVAL, "write map " + name,
                  "an offset of " + std::to_string(offset) + " is no multiple of four")
        .Map(name);
  MustBeWritable(mapping, name);
  mapping.Write32(offset, value);
}

Layout BpfObject::LayoutOfStruct(const std::string& name) const {
  return LayoutOf(object_.get(), name);
}

int BpfObject::PerfEventArray(const std::string& name) const {
  const bpf_map* map = Map("events", name);
  const std::string action = "read events from map " + name;
  if (bpf_map__type(map) != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
    throw Failure("events", EINVAL, action, "it is no perf event array").Map(name);
  MustBeLoaded("events", action);
  return bpf_map__fd(map);
}

bpf_program* BpfObject::Program(const char* operation, const std::string& name) const {
  bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  if (program == nullptr)
    throw Failure(operation, ENOENT, "find program " + name, path_ + " has no program of that name")
        .Program(name);
  return program;
}

bpf_map* BpfObject::Map(const char* operation, const std::string& name) const {
  bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
  if (map == nullptr)
    throw Failure(operation, ENOENT, "find map " + name, path_ + " has no map of that name")
        .Map(name);
  return map;
}

void BpfObject::MustNotBeLoaded(const char* operation, const std::string& action) const {
  if (state_ == State::kOpen) return;
  throw Failure(operation, EBUSY, action,
                state_ == State::kLoaded ? "the object is loaded already"
                                         : "the object failed to load; open it anew");
}

void BpfObject::MustBeLoaded(const char* operation, const std::string& action) const {
  if (state_ == State::kLoaded) return;
  throw Failure(operation, EINVAL, action,
                state_ == State::kOpen ? "the object is not loaded yet"
                                       : "the object failed to load");
}

Mapping& BpfObject::MappingFor(const std::string& name, const char* verb, size_t offset,
                               size_t bytes) {
  const std::string action = std::string(verb) + " map " + name;
  const bpf_map* map = Map("map", name);
  MustBeLoaded("map", action);
  const size_t size = Mapping::BytesOf(name, map);
  if (offset % sizeof(uint64_t) != 0)
    throw Failure("map", EINVAL, action,
                  "an offset of " + std::to_string(offset) + " is no multiple of eight")
        .Map(name);
  if (offset > size || bytes > size - offset)
    throw Failure("map", ERANGE, action,
                  std::to_string(bytes) + " bytes at " + std::to_string(offset) +
                      " reach beyond its " + std::to_string(size))
        .Map(name);
  return mappings_.try_emplace(name, name, map).first->second;
}

void BpfObject::MustBeWritable(const Mapping& mapping, const std::string& name) const {
  if (!mapping.writable())
    throw Failure("map", EPERM, "write map " + name, "read-only data is frozen once it is loaded")
        .Map(name);
}

}  // namespace rxscope
