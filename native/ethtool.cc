// ETHTOOL_GSTRINGS and ETHTOOL_GSTATS are dangerous: the kernel does not know how long the caller's
// buffer is. It writes as many entries as the driver has at that moment, which can be more than a
// moment ago, when the caller asked for their number (net/ethtool/ioctl.c: ethtool_get_strings,
// ethtool_get_stats). So the kernel is never given the caller's memory, but a copy of exactly its
// length that ends where a page without access begins. A longer answer is refused there: EFAULT.
// SPDX-License-Identifier: Apache-2.0
#include "ethtool.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptor.h"
#include "error.h"

namespace rxscope {
namespace {

// Memory of which exactly `size` bytes can be written from `data()` on.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t size) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t open = (size + page - 1) / page * page;
    mapped_ = open + page;
    base_ = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw Failure("ethtool", errno, "map memory for ethtool");
    if (open > 0 && mprotect(base_, open, PROT_READ | PROT_WRITE) != 0) {
      const int error = errno;
      munmap(base_, mapped_);
      throw Failure("ethtool", error, "map memory for ethtool");
    }
    data_ = static_cast<char*>(base_) + (open - size);
  }
  ~GuardedBytes() { munmap(base_, mapped_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  char* data() const { return data_; }

 private:
  void* base_;
  size_t mapped_;
  char* data_;
};

}  // namespace

int CallEthtool(const std::string& device, std::span<uint8_t> buffer) {
  if (device.size() >= IFNAMSIZ) return EINVAL;
  // Any socket will do: it only says in which network namespace.
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) throw Failure("ethtool", errno, "open a socket for ethtool");
  const GuardedBytes guarded(buffer.size());
  // An empty buffer may have no address at all.
  if (!buffer.empty()) memcpy(guarded.data(), buffer.data(), buffer.size());
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = guarded.data();
  if (ioctl(socket.fd(), SIOCETHTOOL, &request) != 0) return errno;
  if (!buffer.empty()) memcpy(buffer.data(), guarded.data(), buffer.size());
  return 0;
}

}  // namespace rxscope
