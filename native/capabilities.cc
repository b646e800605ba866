// Capabilities belong to threads, and the C library does not broadcast a change of them as it does
// for setuid. Node has threads of its own from the start, so each is interrupted by a signal whose
// handler makes the system calls there.
//
// The signal is 33, by which glibc broadcasts setuid: it is the only one that no thread has blocked
// (one of Node's blocks all that sigfillset names). Go's runtime borrows it for the same purpose.
// Signals of glibc itself that come meanwhile are handed on to glibc's handler.
// SPDX-License-Identifier: Apache-2.0
#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "error.h"

namespace rxscope {
namespace {

constexpr const char* kAction = "drop capabilities";
constexpr int kSignal = 33;
// Waits of 10 ms for one thread. It may be starting a process, or wait for a CPU.
constexpr int kWaitsMax = 500;
// A pass finds new threads only where one was created since the last, by one not yet reached.
constexpr int kPassesMax = 100;

// What the handler needs; only the thread that it names may answer.
struct Request {
  std::atomic<pid_t> tid{0};
  // 1 once the thread has answered; a futex. `error` is valid then.
  std::atomic<uint32_t> answered{0};
  std::atomic<int> error{0};
  uint64_t keep = 0;
  bool bounding_set = false;
};

Request request;
static_assert(sizeof(request.answered) == sizeof(uint32_t));

// As the kernel has it, which is not as the C library has it: signal 33 is hidden by the latter.
struct KernelAction {
  void (*handle)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

KernelAction glibc_action{};

pid_t ThisThread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

bool HasCap(const __user_cap_data_struct (&data)[2], int cap) {
  return (data[cap / 32].effective >> (cap % 32) & 1) != 0;
}

// Returns 0 or an errno. Only plain system calls: it runs in a signal handler.
int DropHere(uint64_t keep, bool bounding_set) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (bounding_set) {
    // Ends at the first number that this kernel does not know.
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
      if ((keep >> cap & 1) == 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return errno;
    }
  }
  if (syscall(SYS_capget, &header, data) != 0) return errno;
  for (int word = 0; word < 2; word++) {
    const auto kept = static_cast<uint32_t>(keep >> (32 * word));
    data[word].effective &= kept;
    data[word].permitted &= kept;
    data[word].inheritable &= kept;
  }
  // The kernel lowers the ambient set to what is both permitted and inheritable.
  return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

void OnSignal(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &request) {
    // One whose time was up before it ran does nothing: nobody waits for it.
    if (request.tid.load() == ThisThread()) {
      request.error = DropHere(request.keep, request.bounding_set);
      request.answered = 1;
      syscall(SYS_futex, &request.answered, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  } else if (glibc_action.handle != nullptr) {
    glibc_action.handle(signal, info, context);
  }
  errno = saved;
}

// Our handler in glibc's place, for as long as this lives.
class Handler {
 public:
  Handler() {
    Exchange(nullptr, &glibc_action);
    // glibc installs its own with the second thread; its return path serves ours too.
    if (glibc_action.handle == nullptr || (glibc_action.flags & SA_SIGINFO) == 0)
      throw Failure("capabilities", ENOSYS, kAction, "this C library has no signal to borrow");
    KernelAction ours = glibc_action;
    ours.handle = OnSignal;
    ours.flags |= SA_RESTART;
    Exchange(&ours, nullptr);
  }
  // A signal of ours that is late meets glibc's handler, which heeds only those sent by tgkill.
  ~Handler() { syscall(SYS_rt_sigaction, kSignal, &glibc_action, nullptr, sizeof(uint64_t)); }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  static void Exchange(const KernelAction* now, KernelAction* before) {
    if (syscall(SYS_rt_sigaction, kSignal, now, before, sizeof(uint64_t)) != 0)
      throw Failure("capabilities", errno, std::string(kAction) + ": sigaction");
  }
};

std::vector<pid_t> Threads() {
  std::vector<pid_t> tids;
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/task", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename();
    pid_t tid = 0;
    std::from_chars(name.data(), name.data() + name.size(), tid);
    tids.push_back(tid);
  }
  if (error) throw Failure("capabilities", error.value(), "read /proc/self/task");
  return tids;
}

// What a thread's status in /proc says; absent when the thread has ended.
struct Standing {
  bool there = false;
  size_t threads = 0;
  uint64_t capabilities = 0;
  uint64_t bounding = 0;
  bool no_new_privs = false;
};

Standing StandingOf(pid_t tid) {
  Standing standing;
  std::ifstream status("/proc/self/task/" + std::to_string(tid) + "/status");
  for (std::string line; std::getline(status, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view key = std::string_view(line).substr(0, colon);
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    // Some have no value, such as the groups of a process that has none.
    if (begin == std::string::npos) continue;
    const char* value = line.c_str() + begin;
    const char* end = line.c_str() + line.size();
    uint64_t number = 0;
    if (key == "CapInh" || key == "CapPrm" || key == "CapEff" || key == "CapAmb") {
      std::from_chars(value, end, number, 16);
      standing.capabilities |= number;
    } else if (key == "CapBnd") {
      std::from_chars(value, end, standing.bounding, 16);
      standing.there = true;
    } else if (key == "NoNewPrivs") {
      standing.no_new_privs = *value == '1';
    } else if (key == "Threads") {
      std::from_chars(value, end, standing.threads);
    }
  }
  return standing;
}

bool IsDone(const Standing& standing) {
  return standing.no_new_privs && (standing.capabilities & ~request.keep) == 0 &&
         (!request.bounding_set || (standing.bounding & ~request.keep) == 0);
}

// Waits for one thread's answer. False when it ended instead.
bool Answered(pid_t tid) {
  const timespec turn{0, 10'000'000};
  for (int waits = 0; waits < kWaitsMax; waits++) {
    syscall(SYS_futex, &request.answered, FUTEX_WAIT_PRIVATE, 0, &turn, nullptr, 0);
    if (request.answered == 1) return true;
    if (syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH) return false;
  }
  request.tid = 0;
  throw Failure("capabilities", ETIMEDOUT, kAction,
                "thread " + std::to_string(tid) + " did not answer");
}

void DropIn(pid_t tid) {
  const std::string action = std::string(kAction) + " of thread " + std::to_string(tid);
  int error = 0;
  if (tid == ThisThread()) {
    error = DropHere(request.keep, request.bounding_set);
  } else {
    siginfo_t info{};
    info.si_signo = kSignal;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = &request;
    request.answered = 0;
    request.tid = tid;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, kSignal, &info) != 0) {
      if (errno == ESRCH) return;
      throw Failure("capabilities", errno, action);
    }
    if (!Answered(tid)) return;
    error = request.error;
  }
  if (error != 0) throw Failure("capabilities", error, action);
}

// One look at every thread, and a drop in each that needs it. Returns how many threads there are
// when none needed it, else 0.
size_t Pass() {
  bool clean = true;
  size_t seen = 0;
  for (const pid_t tid : Threads()) {
    const Standing standing = StandingOf(tid);
    if (!standing.there) continue;
    seen++;
    if (IsDone(standing)) continue;
    clean = false;
    DropIn(tid);
  }
  // The kernel ends a listing early when a thread ends right then.
  return clean && StandingOf(ThisThread()).threads == seen ? seen : 0;
}

}  // namespace

Dropped DropCapabilities(uint64_t keep) {
  // Another thread's environment may ask at the same time.
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) throw Failure("capabilities", errno, kAction);
  request.keep = keep;
  request.bounding_set = HasCap(data, CAP_SETPCAP);
  const Handler handler;
  for (int passes = 0; passes < kPassesMax; passes++) {
    if (const size_t threads = Pass()) return {threads, request.bounding_set};
  }
  throw Failure("capabilities", EAGAIN, kAction, "threads come and go too fast");
}

}  // namespace rxscope
