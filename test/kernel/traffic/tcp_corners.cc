// SPDX-License-Identifier: Apache-2.0
// TCP connections to oneself on which the kernel does not tell the socket of data as it mostly does.
//
//   tcp_corners low-mark CONNECTIONS WAIT-MS
//   tcp_corners fast-open CONNECTIONS
//
// low-mark: 100 bytes come to a socket that wants to hear of a megabyte (SO_RCVLOWAT); after a while it wants
// to hear of one byte, and the kernel tells it at once. fast-open: each connection's first data come with its
// SYN. Prints {"told":N}: connections on which poll() found data, before the mark was lowered not counted.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int LENGTH = 100;

void must(long result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

void set(int fd, int level, int name, int value, const char *what) {
  must(setsockopt(fd, level, name, &value, sizeof(value)), what);
}

bool has_data(int fd, int wait_ms) {
  pollfd p{fd, POLLIN, 0};
  return poll(&p, 1, wait_ms) == 1;
}

// Of a listener on a port of the kernel's choice.
sockaddr_in open_listener(int fd) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(at);
  must(bind(fd, reinterpret_cast<sockaddr *>(&at), length), "bind");
  must(listen(fd, 1000), "listen");
  must(getsockname(fd, reinterpret_cast<sockaddr *>(&at), &length), "getsockname");
  return at;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const bool fast_open = strcmp(argv[1], "fast-open") == 0;
  const int connections = atoi(argv[2]);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  must(listener, "socket");
  const sockaddr_in at = open_listener(listener);
  const auto *address = reinterpret_cast<const sockaddr *>(&at);
  if (fast_open) set(listener, IPPROTO_TCP, TCP_FASTOPEN, 1000, "TCP_FASTOPEN");
  const std::string data(LENGTH, 'x');
  std::vector<int> accepted, senders;
  int told = 0;
  for (int i = 0; i < connections; i++) {
    const int sender = socket(AF_INET, SOCK_STREAM, 0);
    must(sender, "socket");
    senders.push_back(sender);
    if (fast_open) {
      must(sendto(sender, data.data(), LENGTH, MSG_FASTOPEN, address, sizeof(at)), "MSG_FASTOPEN");
    } else {
      must(connect(sender, address, sizeof(at)), "connect");
    }
    const int receiver = accept(listener, nullptr, nullptr);
    must(receiver, "accept");
    accepted.push_back(receiver);
    if (fast_open) {
      told += has_data(receiver, 1000);
    } else {
      set(receiver, SOL_SOCKET, SO_RCVLOWAT, 1 << 20, "SO_RCVLOWAT");
      must(send(sender, data.data(), LENGTH, 0), "send");
    }
  }
  if (!fast_open) {
    usleep(atoi(argv[3]) * 1000);
    for (const int receiver : accepted) {
      if (has_data(receiver, 0)) return 3;
      set(receiver, SOL_SOCKET, SO_RCVLOWAT, 1, "SO_RCVLOWAT");
      told += has_data(receiver, 1000);
    }
  }
  printf("{\"told\":%d}\n", told);
  return 0;
}
