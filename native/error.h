// What went wrong, with everything a user needs to act on it; crosses into JavaScript as BpfError
// of src/addon/addon.ts. Never guesses: program, map and log are set only where they are known.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <exception>
#include <string>
#include <string_view>

namespace rxscope {

class Failure : public std::exception {
 public:
  // `action` is what was tried, as in "load program x"; `error` is an errno, of either sign, or one
  // of libbpf's own numbers; `reason` replaces the errno's text where more is known than that.
  Failure(std::string operation, int error, const std::string& action, std::string reason = {});

  Failure Program(std::string name) &&;
  Failure Map(std::string name) &&;
  Failure Log(std::string tail) &&;

  const char* what() const noexcept override { return message_.c_str(); }
  Napi::Error ToJs(Napi::Env env) const;

 private:
  std::string operation_;
  int error_;
  std::string code_;
  std::string message_;
  std::string program_;
  std::string map_;
  std::string log_;
};

}  // namespace rxscope
