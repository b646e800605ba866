// The module's entry: what src/capture/addon.ts declares as Addon. Each environment (the main
// thread, a worker) gets its own; nothing is shared between them but libbpf's print callback.
// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <napi.h>
#include <unistd.h>

#include <memory>

#include "bpf_object_wrap.h"
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

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  LogTail::Install();
  auto instance = std::make_unique<Instance>();
  instance->object_constructor = Napi::Persistent(BpfObjectWrap::Define(env));
  env.SetInstanceData(instance.release());
  exports.Set("libbpfVersion", Napi::Function::New<LibbpfVersion>(env, "libbpfVersion"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
  exports.Set("openObject", Napi::Function::New<OpenObject>(env, "openObject"));
  exports.Set("enableStats", Napi::Function::New<EnableStats>(env, "enableStats"));
  return exports;
}

}  // namespace
}  // namespace rxscope

// The macro below wants a plain name.
static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return rxscope::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
