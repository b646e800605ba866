// Translates between JavaScript values and BpfObject, EventReader.
// SPDX-License-Identifier: Apache-2.0
#include "bpf_object_wrap.h"

#include <errno.h>

#include <cstdint>

#include "arguments.h"

namespace rxscope {
namespace {

// The largest integer that a JavaScript number holds exactly.
constexpr uint64_t kSafeInteger = (uint64_t{1} << 53) - 1;

Napi::Object ReaderObject(Napi::Env env, const std::shared_ptr<EventReader>& reader) {
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("drain", Napi::Function::New(
                          env,
                          [reader](const Napi::CallbackInfo& info) {
                            // The callback may drop the last reference to this function.
                            const auto alive = reader;
                            try {
                              alive->Drain();
                            } catch (const Failure& failure) {
                              throw failure.ToJs(info.Env());
                            }
                          },
                          "drain"));
  handle.Set("close", Napi::Function::New(
                          env, [reader](const Napi::CallbackInfo&) { reader->Close(); }, "close"));
  return handle;
}

}  // namespace

Napi::Function BpfObjectWrap::Define(Napi::Env env) {
  using Self = BpfObjectWrap;
  return DefineClass(
      env, "BpfObject",
      {
          InstanceMethod<&Self::Guarded<&Self::SetConst>>("setConst"),
          InstanceMethod<&Self::Guarded<&Self::SetMaxEntries>>("setMaxEntries"),
          InstanceMethod<&Self::Guarded<&Self::SetAutoload>>("setAutoload"),
          InstanceMethod<&Self::Guarded<&Self::Load>>("load"),
          InstanceMethod<&Self::Guarded<&Self::Attach>>("attach"),
          InstanceMethod<&Self::Guarded<&Self::Detach>>("detach"),
          InstanceMethod<&Self::Guarded<&Self::Programs>>("programs"),
          InstanceMethod<&Self::Guarded<&Self::ProgramStats>>("programStats"),
          InstanceMethod<&Self::Guarded<&Self::MapBytes>>("mapBytes"),
          InstanceMethod<&Self::Guarded<&Self::Read>>("read"),
          InstanceMethod<&Self::Guarded<&Self::Sum>>("sum"),
          InstanceMethod<&Self::Guarded<&Self::Write>>("write"),
          InstanceMethod<&Self::Guarded<&Self::Write32>>("write32"),
          InstanceMethod<&Self::Guarded<&Self::Layout>>("layout"),
          InstanceMethod<&Self::Guarded<&Self::OpenEvents>>("openEvents"),
          InstanceMethod<&Self::Guarded<&Self::Close>>("close"),
      });
}

BpfObjectWrap::BpfObjectWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<BpfObjectWrap>(info) {
  try {
    object_ = std::make_unique<BpfObject>(Arguments(info, "open", "openObject").Text(0, "path"));
  } catch (const Failure& failure) {
    throw failure.ToJs(info.Env());
  }
}

BpfObjectWrap::~BpfObjectWrap() { CloseAll(); }

Napi::Value BpfObjectWrap::SetConst(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "set_const", "setConst");
  const std::string name = arguments.Text(0, "name");
  Opened("set_const").SetConst(name, arguments.Bytes(1, "value"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::SetMaxEntries(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "resize", "setMaxEntries");
  const std::string map = arguments.Text(0, "map");
  const uint64_t entries = arguments.Count(1, "entries", UINT32_MAX);
  Opened("resize").SetMaxEntries(map, static_cast<uint32_t>(entries));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::SetAutoload(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "autoload", "setAutoload");
  const std::string program = arguments.Text(0, "program");
  Opened("autoload").SetAutoload(program, arguments.Flag(1, "autoload"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Load(const Napi::CallbackInfo& info) {
  Opened("load").Load();
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Attach(const Napi::CallbackInfo& info) {
  Opened("attach").Attach(Arguments(info, "attach", "attach").Text(0, "program"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Detach(const Napi::CallbackInfo& info) {
  Opened("detach").Detach(Arguments(info, "detach", "detach").Text(0, "program"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Programs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array programs = Napi::Array::New(env);
  uint32_t index = 0;
  for (const ProgramState& state : Opened("programs").Programs()) {
    Napi::Object program = Napi::Object::New(env);
    program.Set("name", state.name);
    program.Set("section", state.section);
    program.Set("autoload", state.autoload);
    program.Set("loaded", state.loaded);
    program.Set("attached", state.attached);
    programs.Set(index++, program);
  }
  return programs;
}

Napi::Value BpfObjectWrap::ProgramStats(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "stats", "programStats");
  const rxscope::ProgramStats stats = Opened("stats").StatsOf(arguments.Text(0, "program"));
  Napi::Object result = Napi::Object::New(info.Env());
  // A number holds 104 days of run time to the nanosecond, and all of it to a millionth.
  result.Set("runTimeNs", static_cast<double>(stats.run_time_ns));
  result.Set("runs", static_cast<double>(stats.runs));
  return result;
}

Napi::Value BpfObjectWrap::MapBytes(const Napi::CallbackInfo& info) {
  const size_t bytes = Opened("map").MapBytes(Arguments(info, "map", "mapBytes").Text(0, "map"));
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

Napi::Value BpfObjectWrap::Read(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "map", "read");
  const std::string map = arguments.Text(0, "map");
  const uint64_t offset = arguments.Count(1, "offset", kSafeInteger);
  Opened("map").Read(map, offset, arguments.Bytes(2, "into"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Sum(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "map", "sum");
  const std::string map = arguments.Text(0, "map");
  Opened("map").Sum(map, arguments.Bytes(1, "indices"), arguments.Bytes(2, "sums"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Write(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "map", "write");
  const std::string map = arguments.Text(0, "map");
  const uint64_t offset = arguments.Count(1, "offset", kSafeInteger);
  Opened("map").Write(map, offset, arguments.Bytes(2, "from"));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Write32(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "map", "write32");
  const std::string map = arguments.Text(0, "map");
  const uint64_t offset = arguments.Count(1, "offset", kSafeInteger);
  const uint64_t value = arguments.Count(2, "value", UINT32_MAX);
  Opened("map").Write32(map, offset, static_cast<uint32_t>(value));
  return info.Env().Undefined();
}

Napi::Value BpfObjectWrap::Layout(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const rxscope::Layout layout =
      Opened("layout").LayoutOfStruct(Arguments(info, "layout", "layout").Text(0, "name"));
  Napi::Object fields = Napi::Object::New(env);
  for (const Member& member : layout.members) {
    Napi::Object field = Napi::Object::New(env);
    field.Set("offset", static_cast<double>(member.offset));
    field.Set("size", static_cast<double>(member.size));
    fields.Set(member.name, field);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("size", static_cast<double>(layout.size));
  result.Set("fields", fields);
  return result;
}

Napi::Value BpfObjectWrap::OpenEvents(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "events", "openEvents");
  const std::string map = arguments.Text(0, "map");
  const Napi::Object options = arguments.Options(1, "options");
  const Napi::Function on_batch = arguments.Callback(2, "onBatch");
  // The limits are those of the types underneath: a ring of 2^31 pages the kernel refuses itself.
  const EventReader::Options checked{
      arguments.CountOption(options, "pagesPerCpu", INT32_MAX),
      static_cast<uint32_t>(arguments.CountOption(options, "wakeupBytes", UINT32_MAX)),
      arguments.CountOption(options, "batchBytesMax", INT32_MAX)};
  // This runs JavaScript, as the options' getters may: only now may the object be looked at.
  const auto reader = std::make_shared<EventReader>(info.Env(), checked);
  const int map_fd = Opened("events").PerfEventArray(map);
  std::shared_ptr<EventReader>& place = readers_[map];
  if (place != nullptr && !place->closed())
    throw Failure("events", EBUSY, "read events from map " + map, "it has a reader already")
        .Map(map);
  reader->Open(info.This().As<Napi::Object>(), map, map_fd, on_batch);
  place = reader;
  return ReaderObject(info.Env(), reader);
}

Napi::Value BpfObjectWrap::Close(const Napi::CallbackInfo& info) {
  CloseAll();
  return info.Env().Undefined();
}

BpfObject& BpfObjectWrap::Opened(const char* operation) const {
  if (object_ == nullptr)
    throw Failure(operation, EBADF, "use the BPF object", "it is closed");
  return *object_;
}

void BpfObjectWrap::CloseAll() {
  for (const auto& [map, reader] : readers_)
    if (reader != nullptr) reader->Close();
  readers_.clear();
  object_.reset();
}

}  // namespace rxscope
