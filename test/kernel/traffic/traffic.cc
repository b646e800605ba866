// SPDX-License-Identifier: Apache-2.0
// Sends and receives counted packets for the kernel tests and the benchmark: real sockets, a chosen
// CPU, a known number. It measures nothing but, on request, the kernel's own receive timestamps.
//
//   traffic send PROTO ADDRESS PORT COUNT [size=16] [cpu=-1] [gap-us=0] [burst=1] [options=0]
//                [bad-checksum-port=0] [refusals=0]
//   traffic receive PROTO ADDRESS PORT COUNT [cpu=-1] [idle-ms=2000] [buffer=0] [stamps=0]
//                   [start-delay-ms=0] [timeout-ms=60000] [backlog=8] [accept=1]
//                   [read-delay-us=0] [priority=0]
//
// PROTO is udp, tcp, or raw, whose PORT is the number of an IP protocol; the address decides between
// IPv4 and IPv6. With options=1 each IPv6 packet has destination options; with bad-checksum-port a raw
// one is a UDP datagram to that port whose checksum is wrong; with refusals=1 what a firewall refuses
// to send counts as sent; with accept=0 a TCP receiver listens and never accepts. `receive` prints `ready` when it
// listens and then one JSON line: {"received":N,"bytes":B}; with stamps=1 each datagram's delay
// between the kernel's SO_TIMESTAMPNS stamp and the return of recvmsg precedes it, in ns.
// `send` prints {"sent":N}.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const char *what) {
  fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
  exit(1);
}

long long now_ns(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

struct Options {
  std::map<std::string, long> values;
  long get(const char *name, long otherwise) const {
    auto it = values.find(name);
    return it == values.end() ? otherwise : it->second;
  }
};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family = 0;
};

Address parse_address(const char *text, int port) {
  Address a;
  auto *v4 = reinterpret_cast<sockaddr_in *>(&a.storage);
  auto *v6 = reinterpret_cast<sockaddr_in6 *>(&a.storage);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    a.length = sizeof(*v4);
  } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    a.length = sizeof(*v6);
  } else {
    fprintf(stderr, "traffic: not an address: %s\n", text);
    exit(2);
  }
  a.family = a.storage.ss_family;
  return a;
}

void pin(long cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) fail("sched_setaffinity");
}

// Before all ordinary tasks of its CPU.
void rise(long priority) {
  if (priority <= 0) return;
  sched_param parameter{};
  parameter.sched_priority = static_cast<int>(priority);
  if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) fail("sched_setscheduler");
}

void wait_us(long gap_us) {
  if (gap_us <= 0) return;
  const long long until = now_ns(CLOCK_MONOTONIC) + gap_us * 1000LL;
  if (gap_us >= 100) {
    timespec t{gap_us / 1000000, (gap_us % 1000000) * 1000L};
    nanosleep(&t, nullptr);
  }
  while (now_ns(CLOCK_MONOTONIC) < until) {
  }
}

// A raw socket's protocol is what the others call a port.
int open_socket(int type, const Address &a, int port) {
  const int fd = socket(a.family, type, type == SOCK_RAW ? port : 0);
  if (fd < 0) fail("socket");
  return fd;
}

// Puts the header of a datagram before its data, with a checksum that is not theirs.
void spoil_checksum(std::vector<char> &payload, int port) {
  const uint16_t header[4] = {htons(9), htons(port), htons(payload.size()), htons(1)};
  memcpy(payload.data(), header, sizeof(header));
}

int send_all(int type, int port, const Address &to, long count, const Options &o) {
  const int fd = open_socket(type, to, port);
  const bool tcp = type == SOCK_STREAM;
  const int one = 1;
  // Destination options that say nothing: six bytes of padding.
  const unsigned char padding[8] = {0, 0, 1, 4};
  if (o.get("options", 0) &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding)) != 0) fail("IPV6_DSTOPTS");
  if (tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (connect(fd, reinterpret_cast<const sockaddr *>(&to.storage), to.length) != 0) fail("connect");
  std::vector<char> payload(o.get("size", 16), 'x');
  if (const int udp_port = o.get("bad-checksum-port", 0)) spoil_checksum(payload, udp_port);
  const bool refusals = o.get("refusals", 0);
  const long gap_us = o.get("gap-us", 0), burst = o.get("burst", 1);
  long sent = 0;
  for (; sent < count; sent++) {
    size_t done = 0;
    while (done < payload.size()) {
      const ssize_t n = send(fd, payload.data() + done, payload.size() - done, MSG_NOSIGNAL);
      // Port unreachable of an earlier datagram: that one was received and refused; go on.
      if (n < 0 && errno == ECONNREFUSED && !tcp) continue;
      if (n < 0 && errno == EPERM && refusals) break;
      if (n < 0) fail("send");
      done += n;
    }
    if ((sent + 1) % burst == 0) wait_us(gap_us);
  }
  if (tcp) {
    shutdown(fd, SHUT_WR);
    char rest[64];
    while (read(fd, rest, sizeof(rest)) > 0) {
    }
  }
  close(fd);
  printf("{\"sent\":%ld}\n", sent);
  return 0;
}

struct Received {
  long messages = 0;
  long long bytes = 0;
};

// One datagram, or one read of a stream. False when nothing came for idle-ms, or at its end.
bool receive_one(int fd, long idle_ms, bool stamps, Received &r) {
  pollfd p{fd, POLLIN, 0};
  if (poll(&p, 1, idle_ms) <= 0) return false;
  char data[65536], control[256];
  iovec v{data, sizeof(data)};
  msghdr m{};
  m.msg_iov = &v;
  m.msg_iovlen = 1;
  m.msg_control = control;
  m.msg_controllen = sizeof(control);
  const ssize_t n = recvmsg(fd, &m, 0);
  if (n <= 0) return false;
  r.messages++;
  r.bytes += n;
  if (stamps) {
    const long long now = now_ns(CLOCK_REALTIME);
    for (cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec t;
      memcpy(&t, CMSG_DATA(c), sizeof(t));
      printf("%lld\n", now - (t.tv_sec * 1000000000LL + t.tv_nsec));
    }
  }
  return true;
}

int receive_all(int type, int port, const Address &at, long count, const Options &o) {
  int fd = open_socket(type, at, port);
  const bool tcp = type == SOCK_STREAM;
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (const int bytes = o.get("buffer", 0))
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0) fail("SO_RCVBUFFORCE");
  const bool stamps = o.get("stamps", 0);
  if (stamps && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) != 0) fail("SO_TIMESTAMPNS");
  if (bind(fd, reinterpret_cast<const sockaddr *>(&at.storage), at.length) != 0) fail("bind");
  if (tcp && listen(fd, o.get("backlog", 8)) != 0) fail("listen");
  printf("ready\n");
  fflush(stdout);
  if (!o.get("accept", 1)) pause();
  if (tcp) {
    const int connection = accept(fd, nullptr, nullptr);
    if (connection < 0) fail("accept");
    close(fd);
    fd = connection;
  }
  wait_us(o.get("start-delay-ms", 0) * 1000);
  Received r;
  // A stream's count is unknown in reads: it ends when the sender closes.
  while (tcp || r.messages < count) {
    wait_us(o.get("read-delay-us", 0));
    if (!receive_one(fd, r.messages == 0 ? o.get("timeout-ms", 60000) : o.get("idle-ms", 2000), stamps, r)) break;
  }
  printf("{\"received\":%ld,\"bytes\":%lld}\n", r.messages, r.bytes);
  close(fd);
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: traffic send|receive udp|tcp|raw ADDRESS PORT COUNT [NAME=NUMBER ...]\n");
    return 2;
  }
  Options o;
  for (int i = 6; i < argc; i++) {
    const char *equals = strchr(argv[i], '=');
    if (!equals) {
      fprintf(stderr, "traffic: not NAME=NUMBER: %s\n", argv[i]);
      return 2;
    }
    o.values[std::string(argv[i], equals - argv[i])] = atol(equals + 1);
  }
  const int type = strcmp(argv[2], "tcp") == 0   ? SOCK_STREAM
                   : strcmp(argv[2], "raw") == 0 ? SOCK_RAW
                                                 : SOCK_DGRAM;
  const int port = atoi(argv[4]);
  // Raw sockets of IPv6 refuse an address with a port.
  const Address a = parse_address(argv[3], type == SOCK_RAW ? 0 : port);
  const long count = atol(argv[5]);
  pin(o.get("cpu", -1));
  rise(o.get("priority", 0));
  return strcmp(argv[1], "send") == 0 ? send_all(type, port, a, count, o) : receive_all(type, port, a, count, o);
}
