// Asks NETLINK_ROUTE for a dump and collects the answer, whole.
//
// Each dump has a socket of its own: nothing of an earlier answer can be left in it, and no thread
// waits for another. The kernel composes the next part of an answer while the last one is read, so
// a receive finds it there; the time limit is for a kernel that does not keep to that.
// SPDX-License-Identifier: Apache-2.0
#include "route_netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "descriptor.h"
#include "error.h"

namespace rxscope {
namespace {

constexpr const char* kAction = "ask NETLINK_ROUTE";
constexpr int kRetriesMax = 3;
constexpr timeval kTimeout{2, 0};
// The kernel makes parts as large as the last receive had room for, up to this (netlink_dump in
// net/netlink/af_netlink.c).
constexpr size_t kPartBytes = size_t{32} << 10;

enum class Part { kMore, kLast, kInconsistent };

nlmsghdr HeaderAt(std::span<const uint8_t> bytes, size_t at) {
  nlmsghdr header;
  memcpy(&header, bytes.data() + at, sizeof(header));
  return header;
}

// Only what can change nothing: of each kind of object there are four messages, and the third asks
// (rtnetlink_rcv_msg in net/core/rtnetlink.c). Without NLM_F_DUMP no message ends the answer.
void MustAskForDump(std::span<const uint8_t> request) {
  constexpr uint16_t flags = NLM_F_REQUEST | NLM_F_DUMP;
  if (request.size() >= sizeof(nlmsghdr)) {
    const nlmsghdr header = HeaderAt(request, 0);
    if (header.nlmsg_len == request.size() && header.nlmsg_type >= RTM_BASE &&
        (header.nlmsg_type - RTM_BASE) % 4 == RTM_GETLINK - RTM_BASE &&
        (header.nlmsg_flags & flags) == flags)
      return;
  }
  throw Failure("netlink", EINVAL, kAction, "the request is not one message that asks for a dump");
}

void Send(int fd, std::span<const uint8_t> request) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof(kTimeout)) != 0 ||
      sendto(fd, request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&kernel),
             sizeof(kernel)) < 0)
    throw Failure("netlink", errno, kAction);
}

// Receives into `into`, or looks how much there is. Returns the whole datagram's length, of which
// no more than fits was copied, or nothing when it is not from the kernel.
std::optional<size_t> Receive(int fd, std::span<uint8_t> into, int flags) {
  sockaddr_nl sender{};
  socklen_t length = sizeof(sender);
  ssize_t bytes = 0;
  do {
    bytes = recvfrom(fd, into.data(), into.size(), flags | MSG_TRUNC,
                     reinterpret_cast<sockaddr*>(&sender), &length);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) throw Failure("netlink", errno, "read the answer of NETLINK_ROUTE");
  if (sender.nl_pid != 0) return std::nullopt;
  return static_cast<size_t>(bytes);
}

// The error that a NLMSG_ERROR or NLMSG_DONE carries: 0, or a negative errno.
int ErrorIn(std::span<const uint8_t> payload) {
  int error = 0;
  if (payload.size() >= sizeof(error)) memcpy(&error, payload.data(), sizeof(error));
  return error;
}

// Looks through the messages of one datagram and lowers `size` to those that belong to the answer.
Part Examine(std::span<const uint8_t> datagram, size_t& size) {
  size = 0;
  while (datagram.size() - size >= sizeof(nlmsghdr)) {
    const nlmsghdr header = HeaderAt(datagram, size);
    if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > datagram.size() - size)
      throw Failure("netlink", EBADMSG, "read the answer of NETLINK_ROUTE");
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) return Part::kInconsistent;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      const auto payload = datagram.subspan(size + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
      if (const int error = ErrorIn(payload); error != 0) throw Failure("netlink", error, kAction);
      return Part::kLast;
    }
    // The last message of a datagram may lack its padding, which Dump adds.
    size = std::min(size + NLMSG_ALIGN(size_t{header.nlmsg_len}), datagram.size());
  }
  return Part::kMore;
}

// One dump; nothing when something changed while the kernel made it.
std::optional<std::vector<uint8_t>> Dump(std::span<const uint8_t> request) {
  const Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (socket.fd() < 0) throw Failure("netlink", errno, "open a NETLINK_ROUTE socket");
  Send(socket.fd(), request);
  std::vector<uint8_t> answer;
  for (;;) {
    // A message can be longer than any room that was thought enough, so its length is asked first.
    const size_t wanted = Receive(socket.fd(), {}, MSG_PEEK).value_or(0);
    const size_t used = answer.size();
    if (wanted > kRouteDumpBytesMax - used)
      throw Failure("netlink", EMSGSIZE, "read the answer of NETLINK_ROUTE",
                    "it is longer than 16 MiB");
    answer.resize(used + std::max(wanted, kPartBytes));
    const std::span<uint8_t> room = std::span(answer).subspan(used);
    const std::optional<size_t> received = Receive(socket.fd(), room, 0);
    answer.resize(used + std::min(received.value_or(0), room.size()));
    if (!received) continue;
    if (*received > room.size()) throw Failure("netlink", EMSGSIZE, kAction);
    size_t kept = 0;
    const Part part = Examine(room.first(*received), kept);
    if (part == Part::kInconsistent) return std::nullopt;
    answer.resize(NLMSG_ALIGN(used + kept));
    if (part == Part::kLast) return answer;
  }
}

}  // namespace

std::vector<uint8_t> RouteDump(std::span<const uint8_t> request) {
  MustAskForDump(request);
  for (int retries = 0; retries <= kRetriesMax; retries++) {
    if (auto answer = Dump(request)) return *std::move(answer);
  }
  throw Failure("netlink", EINTR, kAction, "what it tells of changed during each of 4 answers");
}

}  // namespace rxscope
