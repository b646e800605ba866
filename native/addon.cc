// The module's entry: what src/addon/addon.ts declares as Addon. Each environment (the main
// thread, a worker) gets its own; nothing is shared between them but libbpf's print callback.
// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <napi.h>
#include <string.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arguments.h"
#include "bpf_object_wrap.h"
#include "capabilities.h"
#include "descriptor.h"
#include "error.h"
#include "ethtool.h"
#include "kernel_types.h"
#include "log_tail.h"
#include "route_netlink.h"
#include "service_notify.h"

namespace rxscope {
namespace {

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

Napi::Value EnumsOfKernel(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Enums found = KernelEnums(Arguments(info, "types", "kernelEnums").Text(0, "part"));
    Napi::Array enums = Napi::Array::New(env, found.enums.size());
    for (uint32_t at = 0; at < found.enums.size(); at++) {
      const Enum& one = found.enums[at];
      Napi::Array values = Napi::Array::New(env, one.values.size());
      for (uint32_t item = 0; item < one.values.size(); item++) {
        const auto& [name, value] = one.values[item];
        Napi::Array pair = Napi::Array::New(env, 2);
        pair.Set(0u, Napi::String::New(env, name));
        pair.Set(1u, Napi::Number::New(env, static_cast<double>(value)));
        values.Set(item, pair);
      }
      Napi::Object told = Napi::Object::New(env);
      told.Set("name", Napi::String::New(env, one.name));
      told.Set("values", values);
      enums.Set(at, told);
    }
    Napi::Array unread = Napi::Array::New(env, found.unread_modules.size());
    for (uint32_t at = 0; at < found.unread_modules.size(); at++)
      unread.Set(at, Napi::String::New(env, found.unread_modules[at]));
    Napi::Object told = Napi::Object::New(env);
    told.Set("enums", enums);
    told.Set("unreadModules", unread);
    return told;
  } catch (const Failure& failure) {
    throw failure.ToJs(env);
  }
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

Napi::Value AnswerRouteDump(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const std::vector<uint8_t> answer =
        RouteDump(Arguments(info, "netlink", "routeDump").Bytes(0, "request"));
    Napi::Uint8Array told = Napi::Uint8Array::New(env, answer.size());
    if (!answer.empty()) memcpy(told.Data(), answer.data(), answer.size());
    return told;
  } catch (const Failure& failure) {
    throw failure.ToJs(env);
  }
}

Napi::Value Ethtool(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Arguments arguments(info, "ethtool", "ethtool");
    const std::string device = arguments.TextOrBytes(0, "device");
    const std::span<uint8_t> buffer = arguments.Bytes(1, "buffer");
    if (buffer.size() > kEthtoolBytesMax)
      throw Failure("ethtool", EINVAL, "ask " + device + " by ethtool",
                    "the buffer is longer than 4 MiB");
    return Napi::Number::New(env, CallEthtool(device, buffer));
  } catch (const Failure& failure) {
    throw failure.ToJs(env);
  }
}

Napi::Value Notify(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Arguments arguments(info, "notify", "notifyService");
    NotifyService(arguments.Text(0, "socket"), arguments.Text(1, "message"));
    return env.Undefined();
  } catch (const Failure& failure) {
    throw failure.ToJs(env);
  }
}

Napi::Value GiveBackMemory(const Napi::CallbackInfo& info) {
  malloc_trim(0);
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  LogTail::Install();
  auto instance = std::make_unique<Instance>();
  instance->object_constructor = Napi::Persistent(BpfObjectWrap::Define(env));
  env.SetInstanceData(instance.release());
  exports.Set("libbpfVersion", Napi::Function::New<LibbpfVersion>(env, "libbpfVersion"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
  exports.Set("openObject", Napi::Function::New<OpenObject>(env, "openObject"));
  exports.Set("kernelEnums", Napi::Function::New<EnumsOfKernel>(env, "kernelEnums"));
  exports.Set("enableStats", Napi::Function::New<EnableStats>(env, "enableStats"));
  exports.Set("dropCapabilities",
              Napi::Function::New<DropAllCapabilitiesBut>(env, "dropCapabilities"));
  exports.Set("routeDump", Napi::Function::New<AnswerRouteDump>(env, "routeDump"));
  exports.Set("ethtool", Napi::Function::New<Ethtool>(env, "ethtool"));
  exports.Set("giveBackMemory", Napi::Function::New<GiveBackMemory>(env, "giveBackMemory"));
  exports.Set("notifyService", Napi::Function::New<Notify>(env, "notifyService"));
  return exports;
}

}  // namespace
}  // namespace rxscope

// The macro below wants a plain name.
static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return rxscope::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
