// Checks what JavaScript hands over.
// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <errno.h>

#include <cmath>
#include <utility>

#include "error.h"

namespace rxscope {

Arguments::Arguments(const Napi::CallbackInfo& info, std::string operation, std::string call)
    : info_(info), operation_(std::move(operation)), call_(std::move(call)) {}

std::string Arguments::Text(size_t index, const char* name) const {
  if (!info_[index].IsString()) Refuse(name, "a string");
  std::string text = info_[index].As<Napi::String>().Utf8Value();
  // C would read another, shorter name.
  if (text.find('\0') != std::string::npos) Refuse(name, "a string without a NUL");
  return text;
}

std::string Arguments::TextOrBytes(size_t index, const char* name) const {
  if (!info_[index].IsTypedArray()) return Text(index, name);
  const std::span<uint8_t> bytes = Bytes(index, name);
  std::string text(bytes.begin(), bytes.end());
  if (text.find('\0') != std::string::npos) Refuse(name, "bytes without a NUL");
  return text;
}

bool Arguments::Flag(size_t index, const char* name) const {
  if (!info_[index].IsBoolean()) Refuse(name, "a boolean");
  return info_[index].As<Napi::Boolean>().Value();
}

uint64_t Arguments::Count(size_t index, const char* name, uint64_t max) const {
  return CountOf(info_[index], name, max);
}

std::span<uint8_t> Arguments::Bytes(size_t index, const char* name) const {
  if (!info_[index].IsTypedArray() ||
      info_[index].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    Refuse(name, "a Uint8Array");
  auto array = info_[index].As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

Napi::Function Arguments::Callback(size_t index, const char* name) const {
  if (!info_[index].IsFunction()) Refuse(name, "a function");
  return info_[index].As<Napi::Function>();
}

Napi::Object Arguments::Options(size_t index, const char* name) const {
  if (!info_[index].IsObject()) Refuse(name, "an object");
  return info_[index].As<Napi::Object>();
}

uint64_t Arguments::CountOption(const Napi::Object& options, const char* name, uint64_t max) const {
  return CountOf(options.Get(name), name, max);
}

uint64_t Arguments::CountOf(Napi::Value value, const char* name, uint64_t max) const {
  const std::string wanted = "a whole number from 0 to " + std::to_string(max);
  if (!value.IsNumber()) Refuse(name, wanted);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0) || number > static_cast<double>(max) || std::trunc(number) != number)
    Refuse(name, wanted);
  return static_cast<uint64_t>(number);
}

void Arguments::Refuse(const char* name, const std::string& wanted) const {
  throw Failure(operation_, EINVAL, "call " + call_,
                std::string("its argument ") + name + " must be " + wanted);
}

}  // namespace rxscope
