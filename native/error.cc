// Names errnos and builds the JavaScript error.
// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <bpf/libbpf.h>
#include <string.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace rxscope {
namespace {

// BPF programs and maps get this one from the kernel, but it is not part of user space's errno.h.
constexpr int kNotSupportedByKernel = 524;

std::string CodeOf(int error) {
  if (const char* name = strerrorname_np(error)) return name;
  if (error == kNotSupportedByKernel) return "ENOTSUPP";
  switch (error) {
    case LIBBPF_ERRNO__LIBELF: return "LIBBPF_ERRNO__LIBELF";
    case LIBBPF_ERRNO__FORMAT: return "LIBBPF_ERRNO__FORMAT";
    case LIBBPF_ERRNO__KVERSION: return "LIBBPF_ERRNO__KVERSION";
    case LIBBPF_ERRNO__ENDIAN: return "LIBBPF_ERRNO__ENDIAN";
    case LIBBPF_ERRNO__INTERNAL: return "LIBBPF_ERRNO__INTERNAL";
    case LIBBPF_ERRNO__RELOC: return "LIBBPF_ERRNO__RELOC";
    case LIBBPF_ERRNO__LOAD: return "LIBBPF_ERRNO__LOAD";
    case LIBBPF_ERRNO__VERIFY: return "LIBBPF_ERRNO__VERIFY";
    case LIBBPF_ERRNO__PROG2BIG: return "LIBBPF_ERRNO__PROG2BIG";
    case LIBBPF_ERRNO__KVER: return "LIBBPF_ERRNO__KVER";
    case LIBBPF_ERRNO__PROGTYPE: return "LIBBPF_ERRNO__PROGTYPE";
    // Not `"E" + …`: GCC 12 sees an overlapping copy in it and warns.
    default: return std::string("E").append(std::to_string(error));
  }
}

std::string TextOf(int error) {
  if (error == kNotSupportedByKernel) return "Not supported by this kernel";
  std::array<char, 128> text{};
  libbpf_strerror(error, text.data(), text.size());
  return text.data();
}

}  // namespace

Failure::Failure(std::string operation, int error, const std::string& action, std::string reason)
    : operation_(std::move(operation)), error_(std::abs(error)), code_(CodeOf(error_)) {
  message_ = "cannot " + action + ": " + code_ + " (" +
             (reason.empty() ? TextOf(error_) : std::move(reason)) + ")";
}

Failure Failure::Program(std::string name) && {
  program_ = std::move(name);
  return std::move(*this);
}

Failure Failure::Map(std::string name) && {
  map_ = std::move(name);
  return std::move(*this);
}

Failure Failure::Log(std::string tail) && {
  log_ = std::move(tail);
  return std::move(*this);
}

Napi::Error Failure::ToJs(Napi::Env env) const {
  Napi::Error error = Napi::Error::New(env, message_);
  error.Set("code", Napi::String::New(env, code_));
  error.Set("errno", Napi::Number::New(env, error_));
  error.Set("operation", Napi::String::New(env, operation_));
  if (!program_.empty()) error.Set("program", Napi::String::New(env, program_));
  if (!map_.empty()) error.Set("map", Napi::String::New(env, map_));
  if (!log_.empty()) error.Set("log", Napi::String::New(env, log_));
  return error;
}

}  // namespace rxscope
