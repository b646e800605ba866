// Keeps the last lines that libbpf prints while one call runs, and which program they blame.
// libbpf has one print callback a process and no context for it, hence the per-thread pointer;
// what it prints while nobody listens is dropped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <string>
#include <string_view>

namespace rxscope {

class LogTail {
 public:
  // To be called once a process before anything else; more often is harmless.
  static void Install();

  LogTail();
  ~LogTail();
  LogTail(const LogTail&) = delete;
  LogTail& operator=(const LogTail&) = delete;

  std::string Text() const;
  // The program and the map that the last complaint named; empty when none did.
  const std::string& program() const { return program_; }
  const std::string& map() const { return map_; }

  void Append(std::string_view text, bool complaint);

 private:
  void AppendLine(std::string_view line);

  LogTail* const outer_;
  std::deque<std::string> lines_;
  std::string program_;
  std::string map_;
};

}  // namespace rxscope
