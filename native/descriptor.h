// A file descriptor that is closed with its owner, or before. Does not know what it refers to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

namespace rxscope {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }

  // Harmless twice.
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace rxscope
