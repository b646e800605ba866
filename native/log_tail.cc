// Listens to libbpf's print callback.
// SPDX-License-Identifier: Apache-2.0
#include "log_tail.h"

#include <bpf/libbpf.h>
#include <stdio.h>

#include <cstdarg>
#include <cstdlib>

namespace rxscope {
namespace {

// The verifier says why in its last few lines; the rest of a log may be megabytes.
constexpr size_t kLinesMax = 20;
constexpr size_t kLineBytesMax = 400;

thread_local LogTail* current = nullptr;

int OnPrint(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (current == nullptr || level == LIBBPF_DEBUG) return 0;
  char* text = nullptr;
  const int length = vasprintf(&text, format, arguments);
  if (length < 0) return 0;
  // An exception must not unwind through libbpf's C frames: without memory the line is lost.
  try {
    current->Append({text, static_cast<size_t>(length)}, level == LIBBPF_WARN);
  } catch (...) {
  }
  free(text);
  return length;
}

// The NAME of a message that begins "libbpf: prog 'NAME': ", or nothing.
std::string_view NameAfter(std::string_view text, std::string_view start) {
  if (!text.starts_with(start)) return {};
  text.remove_prefix(start.size());
  const size_t end = text.find('\'');
  return end == std::string_view::npos ? std::string_view{} : text.substr(0, end);
}

}  // namespace

void LogTail::Install() { libbpf_set_print(OnPrint); }

LogTail::LogTail() : outer_(current) { current = this; }

LogTail::~LogTail() { current = outer_; }

std::string LogTail::Text() const {
  std::string text;
  for (const std::string& line : lines_) {
    if (!text.empty()) text += '\n';
    text += line;
  }
  return text;
}

void LogTail::Append(std::string_view text, bool complaint) {
  if (complaint) {
    if (const auto name = NameAfter(text, "libbpf: prog '"); !name.empty()) program_ = name;
    if (const auto name = NameAfter(text, "libbpf: map '"); !name.empty()) map_ = name;
  }
  while (!text.empty()) {
    const size_t end = text.find('\n');
    AppendLine(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

void LogTail::AppendLine(std::string_view line) {
  if (line.empty()) return;
  if (lines_.size() == kLinesMax) lines_.pop_front();
  lines_.emplace_back(line.substr(0, kLineBytesMax));
}

}  // namespace rxscope
