// Reads the arguments of one call from JavaScript. A wrong type or range is EINVAL with a sentence
// that shows the value's place; nothing is converted silently.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace rxscope {

class Arguments {
 public:
  // `operation` and `call` go into the errors: the kind of work, and the function's name.
  Arguments(const Napi::CallbackInfo& info, std::string operation, std::string call);

  std::string Text(size_t index, const char* name) const;
  // A string, or a Uint8Array for text that need not be UTF-8.
  std::string TextOrBytes(size_t index, const char* name) const;
  bool Flag(size_t index, const char* name) const;
  // A whole number from 0 to `max`.
  uint64_t Count(size_t index, const char* name, uint64_t max) const;
  // The bytes of a Uint8Array; valid until the call returns to JavaScript.
  std::span<uint8_t> Bytes(size_t index, const char* name) const;
  Napi::Function Callback(size_t index, const char* name) const;
  Napi::Object Options(size_t index, const char* name) const;
  uint64_t CountOption(const Napi::Object& options, const char* name, uint64_t max) const;

 private:
  uint64_t CountOf(Napi::Value value, const char* name, uint64_t max) const;
  [[noreturn]] void Refuse(const char* name, const std::string& wanted) const;

  const Napi::CallbackInfo& info_;
  const std::string operation_;
  const std::string call_;
};

}  // namespace rxscope
