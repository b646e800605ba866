// The module's entry: what src/capture/addon.ts declares as Addon. Each environment (the main
// thread, a worker) gets its own; nothing is shared between them but libbpf's print callback.
// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <napi.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "arguments.h"
#include "bpf_object_wrap.h"
#include "capabilities.h"
#include "error.h"
#include "log_tail.h"

namespace rxscope {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// What one environment keeps.
struct Instance {
  Napi::FunctionReference object_constructor;
};

Napi::Value LibbpfVersion(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), libbpf_version_string());
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) throw Failure("cpus", cpus, "count the possible CPUs").ToJs(info.Env());
  return Napi::Number::New(info.Env(), cpus);
}

Napi::Value OpenObject(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Instance>()->object_constructor.New({info[0]});
}

Napi::Value EnableStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (fd < 0) throw Failure("stats", fd, "turn on BPF statistics").ToJs(env);
  const auto descriptor = std::make_shared<Descriptor>(fd);
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("close", Napi::Function::New(
                          env, [descriptor](const Napi::CallbackInfo&) { descriptor->Close(); },
                          "close"));
  return handle;
}

Napi::Value DropAllCapabilitiesBut(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Arguments arguments(info, "capabilities", "dropCapabilities");
    uint64_t keep = 0;
    for (const uint8_t number : arguments.Bytes(0, "keep")) {
      if (number >= kCapabilitiesMax)
        throw Failure("capabilities", EINVAL, "keep capability " + std::to_string(number),
                      "no kernel has so many");
      keep |= uint64_t{1} << number;
    }
    const Dropped dropped = DropCapabilities(keep);
    Napi::Object told = Napi::Object::New(env);
    told.Set("threads", Napi::Number::New(env, static_cast<double>(dropped.threads)));
    told.Set("boundingSet", Napi::Boolean::New(env, dropped.bounding_set));
    return told;
  } catch (const Failure& failure) {
    throw failure.ToJs(env);
  }
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  LogTail::Install();
  auto instance = std::make_unique<Instance>();
  instance->object_constructor = Napi::Persistent(BpfObjectWrap::Define(env));
  env.SetInstanceData(instance.release());
  exports.Set("libbpfVersion", Napi::Function::New<LibbpfVersion>(env, "libbpfVersion"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
  exports.Set("openObject", Napi::Function::New<OpenObject>(env, "openObject"));
  exports.Set("enableStats", Napi::Function::New<EnableStats>(env, "enableStats"));
  exports.Set("dropCapabilities",
              Napi::Function::New<DropAllCapabilitiesBut>(env, "dropCapabilities"));
  return exports;
}

}  // namespace
}  // namespace rxscope

// The macro below wants a plain name.
static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return rxscope::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
