// SPDX-License-Identifier: Apache-2.0
// Closes a socket on which messages wait that nobody read: what the kernel then throws away.
//
//   unread unix|netlink|udp COUNT
//
// All within this process; for udp to a port of 127.0.0.1 that the kernel chooses. Prints
// {"unread":N} when the sockets are closed.

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

[[noreturn]] void fail(const char *what) {
  fprintf(stderr, "unread: %s: %s\n", what, strerror(errno));
  exit(1);
}

struct Pair {
  int from;
  int to;
};

Pair unix_pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0) fail("socketpair");
  return {fds[0], fds[1]};
}

// Binds one socket where the kernel likes, and connects another to it.
Pair connected(int family, int type, int protocol, sockaddr *address, socklen_t length) {
  const Pair pair{socket(family, type, protocol), socket(family, type, protocol)};
  if (pair.from < 0 || pair.to < 0) fail("socket");
  if (bind(pair.to, address, length) != 0) fail("bind");
  if (getsockname(pair.to, address, &length) != 0) fail("getsockname");
  if (connect(pair.from, address, length) != 0) fail("connect");
  return pair;
}

Pair netlink_pair() {
  sockaddr_nl a{};
  a.nl_family = AF_NETLINK;
  return connected(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK, reinterpret_cast<sockaddr *>(&a), sizeof(a));
}

Pair udp_pair() {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connected(AF_INET, SOCK_DGRAM, 0, reinterpret_cast<sockaddr *>(&a), sizeof(a));
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: unread unix|netlink|udp COUNT\n");
    return 2;
  }
  const long count = atol(argv[2]);
  const Pair pair = strcmp(argv[1], "unix") == 0      ? unix_pair()
                    : strcmp(argv[1], "netlink") == 0 ? netlink_pair()
                                                      : udp_pair();
  for (long i = 0; i < count; i++)
    if (send(pair.from, "unread", 6, MSG_DONTWAIT) != 6) fail("send");
  close(pair.to);
  close(pair.from);
  printf("{\"unread\":%ld}\n", count);
  return 0;
}
