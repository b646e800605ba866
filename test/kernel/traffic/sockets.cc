// SPDX-License-Identifier: Apache-2.0
// Does with sockets what a test asks for, line by line: opens, fills, locks and closes them in the order
// that the test chooses. Each line of stdin is one command and has one line of answer: a number, or
// `error WHAT: WHY`. It decides nothing and waits for nothing longer than WAIT_MS.
//
//   udp NAME ADDRESS PORT [reuse=0] [buffer=0] [gro=0]   a bound socket
//   listen NAME ADDRESS PORT [reuse=0]                   a TCP listener
//   connect NAME ADDRESS PORT                            a TCP connection
//   accept NAME LISTENER                                 its other end
//   raw NAME PROTOCOL                                    a raw socket of IPv4
//   packet NAME                                          a packet socket that sees every packet
//   lowat NAME BYTES                                     SO_RCVLOWAT
//   buffer NAME BYTES                                    SO_RCVBUF
//   send ADDRESS PORT COUNT [size=16] [segment=0] [cpu=-1]   datagrams, of `size` bytes; with segment
//                                                        cut into such ones by the kernel (UDP_SEGMENT)
//   write NAME BYTES [pieces=1]                          to a connection, as far as there is room
//   read NAME                                            all that is there; answers with its bytes
//   hold NAME                                            takes the lock of a connection's socket …
//   release NAME                                         … until then
//   shut NAME HOW                                        shutdown(2)
//   close NAME

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/userfaultfd.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int WAIT_MS = 2000;
// Nothing that a test connects to is far away.
constexpr int CONNECT_MS = 300;
constexpr size_t PAGE = 4096;

struct Problem {
  std::string text;
};

[[noreturn]] void fail(const std::string &what) { throw Problem{what + ": " + strerror(errno)}; }

// The words of one command: the leading ones by their place, NAME=NUMBER by name.
struct Command {
  std::vector<std::string> words;
  std::map<std::string, long> options;
  const std::string &word(size_t at) const {
    if (at >= words.size()) throw Problem{"a word is missing"};
    return words[at];
  }
  long number(size_t at) const { return atol(word(at).c_str()); }
  long option(const char *name, long otherwise) const {
    auto it = options.find(name);
    return it == options.end() ? otherwise : it->second;
  }
};

Command parse(const std::string &line) {
  Command c;
  std::istringstream in(line);
  for (std::string word; in >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) c.words.push_back(word);
    else c.options[word.substr(0, equals)] = atol(word.c_str() + equals + 1);
  }
  return c;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr *get() { return reinterpret_cast<sockaddr *>(&storage); }
};

Address address_of(const std::string &text, long port) {
  Address a;
  auto *v4 = reinterpret_cast<sockaddr_in *>(&a.storage);
  auto *v6 = reinterpret_cast<sockaddr_in6 *>(&a.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    a.length = sizeof(*v4);
  } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    a.length = sizeof(*v6);
  } else {
    throw Problem{"not an address: " + text};
  }
  return a;
}

// A socket's lock, held by a thread that sends from memory whose page fault is not answered yet.
class Lock {
 public:
  explicit Lock(int fd) {
    faults_ = syscall(SYS_userfaultfd, O_CLOEXEC);
    if (faults_ < 0) fail("userfaultfd");
    uffdio_api api{UFFD_API, 0, 0};
    if (ioctl(faults_, UFFDIO_API, &api) != 0) fail("UFFDIO_API");
    memory_ = static_cast<char *>(
        mmap(nullptr, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    uffdio_register range{};
    range.range = {reinterpret_cast<__u64>(memory_), PAGE};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    if (ioctl(faults_, UFFDIO_REGISTER, &range) != 0) fail("UFFDIO_REGISTER");
    holder_ = std::thread([fd, this] { (void)!send(fd, memory_, 1, MSG_NOSIGNAL | MSG_DONTWAIT); });
    // Once it faults the holder is inside, and has the lock.
    pollfd p{faults_, POLLIN, 0};
    held_ = poll(&p, 1, WAIT_MS) > 0;
  }
  ~Lock() {
    uffdio_zeropage answer{};
    answer.range = {reinterpret_cast<__u64>(memory_), PAGE};
    ioctl(faults_, UFFDIO_ZEROPAGE, &answer);
    holder_.join();
    munmap(memory_, PAGE);
    close(faults_);
  }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;
  bool held() const { return held_; }

 private:
  int faults_ = -1;
  char *memory_ = nullptr;
  bool held_ = false;
  std::thread holder_;
};

class Sockets {
 public:
  long run(const Command &c) {
    const std::string &verb = c.word(0);
    if (verb == "udp") return open_udp(c);
    if (verb == "listen") return open_listener(c);
    if (verb == "connect") return open_connection(c);
    if (verb == "accept") return accept_one(c);
    if (verb == "raw") return keep(c, socket(AF_INET, SOCK_RAW, c.number(2)));
    if (verb == "packet") return keep(c, socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    if (verb == "lowat") return set(c, SO_RCVLOWAT);
    if (verb == "buffer") return set(c, SO_RCVBUF);
    if (verb == "send") return send_datagrams(c);
    if (verb == "write") return write_some(c);
    if (verb == "read") return read_all(c);
    if (verb == "hold") return hold(c);
    if (verb == "release") return locks_.erase(c.word(1));
    if (verb == "shut") return shutdown(find(c.word(1)), c.number(2));
    if (verb == "close") return close_one(c);
    throw Problem{"no such command: " + verb};
  }

 private:
  int find(const std::string &name) const {
    auto it = fds_.find(name);
    if (it == fds_.end()) throw Problem{"no such socket: " + name};
    return it->second;
  }

  long keep(const Command &c, int fd) {
    if (fd < 0) fail(c.word(0));
    if (fds_.count(c.word(1))) throw Problem{"there is one already: " + c.word(1)};
    fds_[c.word(1)] = fd;
    return fd;
  }

  int open_bound(const Command &c, int type) {
    Address a = address_of(c.word(2), c.number(3));
    const int fd = socket(a.storage.ss_family, type, 0), one = 1;
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (c.option("reuse", 0)) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (const int bytes = c.option("buffer", 0))
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    if (c.option("gro", 0)) setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
    if (bind(fd, a.get(), a.length) != 0) {
      close(fd);
      fail("bind");
    }
    return fd;
  }

  long open_udp(const Command &c) { return keep(c, open_bound(c, SOCK_DGRAM)); }

  long open_listener(const Command &c) {
    const int fd = open_bound(c, SOCK_STREAM);
    if (listen(fd, 64) != 0) fail("listen");
    return keep(c, fd);
  }

  long open_connection(const Command &c) {
    Address a = address_of(c.word(2), c.number(3));
    const int fd = socket(a.storage.ss_family, SOCK_STREAM, 0), one = 1;
    if (fd < 0) fail("socket");
    const timeval wait{0, CONNECT_MS * 1000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, a.get(), a.length) != 0) {
      close(fd);
      fail("connect");
    }
    return keep(c, fd);
  }

  long accept_one(const Command &c) {
    pollfd p{find(c.word(2)), POLLIN, 0};
    if (poll(&p, 1, WAIT_MS) <= 0) throw Problem{"accept: nobody has connected"};
    const int fd = accept(p.fd, nullptr, nullptr), one = 1;
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return keep(c, fd);
  }

  long set(const Command &c, int option) {
    const int value = c.number(2);
    if (setsockopt(find(c.word(1)), SOL_SOCKET, option, &value, sizeof(value)) != 0) fail("setsockopt");
    return value;
  }

  long send_datagrams(const Command &c) {
    Address a = address_of(c.word(1), c.number(2));
    const int fd = socket(a.storage.ss_family, SOCK_DGRAM, 0);
    if (fd < 0) fail("socket");
    if (const long cpu = c.option("cpu", -1); cpu >= 0) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(cpu, &set);
      sched_setaffinity(0, sizeof(set), &set);
    }
    const long count = c.number(3), size = c.option("size", 16);
    const int segment = c.option("segment", 0) ? size : 0;
    // A kernel cuts at most 64 of them, and no more than a packet's length.
    const long at_once = segment ? std::max(1L, std::min(60L, 60000 / size)) : 1;
    if (segment) setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
    const std::vector<char> data(size * at_once, 'x');
    long sent = 0;
    for (int failed = 0; sent < count && failed < 10;) {
      const long now = std::min(at_once, count - sent);
      // What is refused is refused: no route, no neighbour, a device that has just gone.
      if (sendto(fd, data.data(), now * size, MSG_NOSIGNAL, a.get(), a.length) > 0) sent += now;
      else failed++;
    }
    close(fd);
    return sent;
  }

  long write_some(const Command &c) {
    const int fd = find(c.word(1));
    const std::vector<char> data(c.number(2), 'x');
    long written = 0;
    for (long i = 0; i < c.option("pieces", 1); i++)
      written += std::max<ssize_t>(0, send(fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    return written;
  }

  long read_all(const Command &c) {
    static char data[1 << 18];
    long bytes = 0;
    for (ssize_t n; (n = recv(find(c.word(1)), data, sizeof(data), MSG_DONTWAIT)) > 0;) bytes += n;
    return bytes;
  }

  long hold(const Command &c) {
    auto lock = std::make_unique<Lock>(find(c.word(1)));
    if (!lock->held()) throw Problem{"hold: the send did not get as far"};
    locks_[c.word(1)] = std::move(lock);
    return 1;
  }

  long close_one(const Command &c) {
    const int fd = find(c.word(1));
    locks_.erase(c.word(1));
    fds_.erase(c.word(1));
    return close(fd);
  }

  std::map<std::string, int> fds_;
  std::map<std::string, std::unique_ptr<Lock>> locks_;
};

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  Sockets sockets;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << sockets.run(parse(line)) << std::endl;
    } catch (const Problem &problem) {
      std::cout << "error " << problem.text << std::endl;
    }
  }
}
