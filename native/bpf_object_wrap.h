// The BpfObject and EventReader that JavaScript sees: checks arguments, converts values, and holds
// an object and its readers until `close` or the garbage collector. The work itself is elsewhere.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <string>

#include "bpf_object.h"
#include "error.h"
#include "event_reader.h"

namespace rxscope {

class BpfObjectWrap : public Napi::ObjectWrap<BpfObjectWrap> {
 public:
  // The constructor function, which takes the object file's path.
  static Napi::Function Define(Napi::Env env);

  explicit BpfObjectWrap(const Napi::CallbackInfo& info);
  ~BpfObjectWrap() override;

 private:
  using Method = Napi::Value (BpfObjectWrap::*)(const Napi::CallbackInfo&);
  // Lets a Failure arrive in JavaScript as the error that src/addon/addon.ts declares.
  template <Method method>
  Napi::Value Guarded(const Napi::CallbackInfo& info) {
    try {
      return (this->*method)(info);
    } catch (const Failure& failure) {
      throw failure.ToJs(info.Env());
    }
  }

  Napi::Value SetConst(const Napi::CallbackInfo& info);
  Napi::Value SetMaxEntries(const Napi::CallbackInfo& info);
  Napi::Value SetAutoload(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value Attach(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);
  Napi::Value Programs(const Napi::CallbackInfo& info);
  Napi::Value ProgramStats(const Napi::CallbackInfo& info);
  Napi::Value MapBytes(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Sum(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Write32(const Napi::CallbackInfo& info);
  Napi::Value Layout(const Napi::CallbackInfo& info);
  Napi::Value OpenEvents(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  BpfObject& Opened(const char* operation) const;
  void CloseAll();

  std::unique_ptr<BpfObject> object_;
  // By map. A reader uses the map's descriptor until it is closed.
  std::map<std::string, std::shared_ptr<EventReader>> readers_;
};

}  // namespace rxscope
