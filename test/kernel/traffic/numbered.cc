// SPDX-License-Identifier: Apache-2.0
// Sends numbered datagrams, several in one call of the kernel if asked, and tells which socket got which
// and in what order. So a test knows of each packet what became of it without asking who measures it.
//
//   numbered send ADDRESS PORT COUNT [list=1] [size=64] [cpu=-1] [gap-us=0] [first=0] [step=1]
//                 [device=NAME]
//   numbered receive ADDRESS PORT SOCKETS [device=NAME] [next-ports=0] [spread=0] [refuse-odd=0]
//                    [group=ADDRESS] [gro=0] [raw=0] [tap=NAME,NAME] [late=0]
//
// `send` sends COUNT datagrams, `list` of them in one call (UDP_SEGMENT), numbered from `first` on by
// `step`. `receive` prints `ready`, reads until its standard input ends and nothing comes any more, and
// prints {"raw":[…],"sockets":[[…],…],"taps":[…]}: the numbers that each socket got, and how many packets
// each tap. With next-ports its sockets have ports of their own; with spread they share one and each gets
// the datagrams whose number modulo SOCKETS is its place; refuse-odd is a socket filter; raw=1 is a raw
// socket beside.

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace {

constexpr int QUIET_MS = 150;
constexpr int VXLAN_PORT = 4789;
constexpr int BUFFER_BYTES = 50'000'000;

[[noreturn]] void fail(const char *what) {
  fprintf(stderr, "numbered: %s: %s\n", what, strerror(errno));
  exit(1);
}

void must(int result, const char *what) {
  if (result < 0) fail(what);
}

struct Options {
  std::map<std::string, std::string> values;
  std::string text(const char *name) const {
    auto it = values.find(name);
    return it == values.end() ? "" : it->second;
  }
  long number(const char *name, long otherwise) const {
    auto it = values.find(name);
    return it == values.end() ? otherwise : atol(it->second.c_str());
  }
};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr *raw() const { return reinterpret_cast<const sockaddr *>(&storage); }
};

Address address_of(const char *text, int port) {
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
    fprintf(stderr, "numbered: not an address: %s\n", text);
    exit(2);
  }
  return a;
}

void set(int fd, int level, int name, int value, const char *what) {
  must(setsockopt(fd, level, name, &value, sizeof(value)), what);
}

int open_udp(int family, const Options &o) {
  const int fd = socket(family, SOCK_DGRAM, 0);
  must(fd, "socket");
  const std::string device = o.text("device");
  if (!device.empty())
    must(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), device.size()), "SO_BINDTODEVICE");
  return fd;
}

int send_all(const Address &to, long count, const Options &o) {
  const long list = o.number("list", 1), size = o.number("size", 64), gap_us = o.number("gap-us", 0);
  const long first = o.number("first", 0), step = o.number("step", 1);
  if (const long cpu = o.number("cpu", -1); cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    must(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
  }
  const int fd = open_udp(to.storage.ss_family, o);
  must(connect(fd, to.raw(), to.length), "connect");
  if (list > 1) set(fd, IPPROTO_UDP, UDP_SEGMENT, size, "UDP_SEGMENT");
  std::vector<char> payload(list * size, 'x');
  for (long sent = 0; sent < count; sent += list) {
    const long here = std::min(list, count - sent);
    for (long i = 0; i < here; i++) {
      const uint32_t number = htonl(first + (sent + i) * step);
      memcpy(payload.data() + i * size, &number, sizeof(number));
    }
    // Port unreachable for an earlier one: that one was received and refused; go on.
    while (send(fd, payload.data(), here * size, 0) < 0)
      if (errno != ECONNREFUSED) fail("send");
    if (gap_us > 0) {
      const timespec gap{gap_us / 1000000, (gap_us % 1000000) * 1000};
      nanosleep(&gap, nullptr);
    }
  }
  printf("{\"sent\":%ld}\n", count);
  return 0;
}

void attach(int fd, int option, std::vector<sock_filter> code) {
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  must(setsockopt(fd, SOL_SOCKET, option, &program, sizeof(program)), "attach a filter");
}

// The number stands at the start of the data, which is where a program that chooses a socket starts to
// read; one that filters starts at the UDP header.
void spread_by_number(int fd, unsigned sockets) {
  attach(fd, SO_ATTACH_REUSEPORT_CBPF, {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, sockets),
                                        BPF_STMT(BPF_RET | BPF_A, 0)});
}

void refuse_odd(int fd) {
  attach(fd, SO_ATTACH_FILTER, {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),
                                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1),
                                BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0xffff)});
}

void join(int fd, const Address &group, const std::string &device) {
  group_req request{};
  request.gr_interface = if_nametoindex(device.c_str());
  request.gr_group = group.storage;
  const int level = group.storage.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
  must(setsockopt(fd, level, MCAST_JOIN_GROUP, &request, sizeof(request)), "MCAST_JOIN_GROUP");
}

enum Kind { UDP, RAW, TAP };

struct Receiver {
  int fd;
  Kind kind;
  int family;
  long packets = 0;
  std::vector<uint32_t> numbers;

  void note(const char *data, size_t bytes) {
    uint32_t number = 0;
    if (bytes >= sizeof(number)) memcpy(&number, data, sizeof(number));
    numbers.push_back(ntohl(number));
  }

  // Reads what there is; false when there was nothing.
  bool read_all() {
    static char data[1 << 16], control[256];
    bool any = false;
    for (;;) {
      iovec v{data, sizeof(data)};
      msghdr m{};
      m.msg_iov = &v;
      m.msg_iovlen = 1;
      m.msg_control = control;
      m.msg_controllen = sizeof(control);
      const ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
      if (n < 0) return any;
      any = true;
      packets++;
      if (kind == TAP) continue;
      // A raw socket of IPv4 gets the IP header too, each raw one that of UDP.
      size_t skip = kind == UDP ? 0 : 8;
      if (kind == RAW && family == AF_INET) skip += (data[0] & 15) * 4;
      size_t segment = n;
      for (cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        int bytes;
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
        memcpy(&bytes, CMSG_DATA(c), sizeof(bytes));
        segment = bytes;
      }
      for (size_t at = skip; at < static_cast<size_t>(n); at += segment) note(data + at, n - at);
    }
  }
};

Receiver open_receiver(const Address &at, int port, unsigned sockets, const Options &o) {
  const int family = at.storage.ss_family, fd = open_udp(family, o);
  Address mine = at;
  reinterpret_cast<sockaddr_in *>(&mine.storage)->sin_port = htons(port);
  set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES, "SO_RCVBUFFORCE");
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  const bool spread = o.number("spread", 0);
  if (spread) set(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  must(bind(fd, mine.raw(), mine.length), "bind");
  if (spread) spread_by_number(fd, sockets);
  if (o.number("refuse-odd", 0)) refuse_odd(fd);
  if (o.number("gro", 0)) set(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
  const std::string group = o.text("group");
  if (!group.empty()) join(fd, address_of(group.c_str(), 0), o.text("join"));
  return {fd, UDP, family};
}

// What the kernel sends by itself through a VXLAN is UDP, too. A raw socket's filter starts at the header of
// IPv4, or behind that of IPv6.
void refuse_vxlan(int fd, int family) {
  std::vector<sock_filter> code{BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
                                BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2)};
  if (family == AF_INET6) code = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2)};
  code.insert(code.end(), {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VXLAN_PORT, 0, 1),
                           BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0xffff)});
  attach(fd, SO_ATTACH_FILTER, code);
}

Receiver open_raw(int family) {
  const int fd = socket(family, SOCK_RAW, IPPROTO_UDP);
  must(fd, "raw socket");
  refuse_vxlan(fd, family);
  set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES, "SO_RCVBUFFORCE");
  return {fd, RAW, family};
}

Receiver open_tap(const std::string &device) {
  const int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  must(fd, "packet socket");
  set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES, "SO_RCVBUFFORCE");
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = if_nametoindex(device.c_str());
  must(bind(fd, reinterpret_cast<const sockaddr *>(&at), sizeof(at)), "bind a packet socket");
  return {fd, TAP, AF_PACKET};
}

void print_numbers(const Receiver &r) {
  printf("[");
  for (size_t i = 0; i < r.numbers.size(); i++) printf("%s%u", i ? "," : "", r.numbers[i]);
  printf("]");
}

template <typename Print>
void print_list(const char *name, const std::vector<Receiver> &all, Kind kind, Print print) {
  printf("\"%s\":[", name);
  bool first = true;
  for (const Receiver &r : all) {
    if (r.kind != kind) continue;
    if (!first) printf(",");
    first = false;
    print(r);
  }
  printf("]");
}

int receive_all(const Address &at, int port, unsigned sockets, const Options &o) {
  std::vector<Receiver> all;
  for (unsigned i = 0; i < sockets; i++)
    all.push_back(open_receiver(at, port + (o.number("next-ports", 0) ? i : 0), sockets, o));
  if (o.number("raw", 0)) all.push_back(open_raw(at.storage.ss_family));
  std::string taps = o.text("tap");
  for (size_t comma; !taps.empty(); taps.erase(0, comma == std::string::npos ? comma : comma + 1)) {
    comma = taps.find(',');
    all.push_back(open_tap(taps.substr(0, comma)));
  }
  printf("ready\n");
  fflush(stdout);
  std::vector<pollfd> polled{{STDIN_FILENO, POLLIN, 0}};
  for (const Receiver &r : all) polled.push_back({o.number("late", 0) ? -1 : r.fd, POLLIN, 0});
  bool ending = false;
  for (;;) {
    if (poll(polled.data(), polled.size(), ending ? QUIET_MS : -1) == 0) break;
    if (polled[0].revents) {
      ending = true;
      polled[0].fd = -1;
      for (size_t i = 0; i < all.size(); i++) polled[i + 1].fd = all[i].fd;
    }
    for (Receiver &r : all) r.read_all();
  }
  printf("{");
  print_list("sockets", all, UDP, print_numbers);
  printf(",");
  print_list("raw", all, RAW, print_numbers);
  printf(",");
  print_list("taps", all, TAP, [](const Receiver &r) { printf("%ld", r.packets); });
  printf("}\n");
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: numbered send|receive ADDRESS PORT COUNT|SOCKETS [NAME=VALUE ...]\n");
    return 2;
  }
  Options o;
  for (int i = 5; i < argc; i++) {
    const char *equals = strchr(argv[i], '=');
    if (!equals) {
      fprintf(stderr, "numbered: not NAME=VALUE: %s\n", argv[i]);
      return 2;
    }
    o.values[std::string(argv[i], equals - argv[i])] = equals + 1;
  }
  const int port = atoi(argv[3]);
  const Address a = address_of(argv[2], port);
  return strcmp(argv[1], "send") == 0 ? send_all(a, atol(argv[4]), o) : receive_all(a, port, atoi(argv[4]), o);
}
