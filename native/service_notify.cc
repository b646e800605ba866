// Node has no datagram sockets of the Unix kind, and a process that sends for us (systemd-notify)
// would not be the one that the manager believes: it takes messages from the main process only.
// SPDX-License-Identifier: Apache-2.0
#include "service_notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "descriptor.h"
#include "error.h"

namespace rxscope {
namespace {

constexpr const char* kAction = "notify the service manager";

}  // namespace

void NotifyService(const std::string& socket, const std::string& message) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool abstract = !socket.empty() && socket[0] == '@';
  if (!abstract && (socket.empty() || socket[0] != '/'))
    throw Failure("notify", EINVAL, kAction, "its socket is neither a path nor an abstract name");
  // A path ends with a zero byte; an abstract name begins with one and ends where its length says.
  if (socket.size() > sizeof(address.sun_path) - (abstract ? 0 : 1) || socket.size() < 2)
    throw Failure("notify", EINVAL, kAction, "no socket can have the name that it was given");
  memcpy(address.sun_path, socket.data(), socket.size());
  if (abstract) address.sun_path[0] = '\0';
  const size_t length =
      offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1);
  const Descriptor from(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (from.fd() < 0) throw Failure("notify", errno, kAction);
  ssize_t sent = 0;
  do {
    sent = sendto(from.fd(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) throw Failure("notify", errno, kAction);
}

}  // namespace rxscope
