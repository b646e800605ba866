// Bridges libbpf's perf buffer, libuv and JavaScript.
//
// The kernel reports a ring as readable once for each wake-up, not for as long as something is in
// it. So whoever is woken reads everything; where that takes more than one batch, an idle handle
// continues on the next turn of the loop, after other I/O had its turn.
//
// For the same reason the first two turns look unasked: libuv adds the descriptor to its epoll set
// late in the first one, and being added uses up the wake-up of what was written until then.
// SPDX-License-Identifier: Apache-2.0
#include "event_reader.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <unistd.h>

#include <cstring>
#include <iterator>
#include <utility>

#include "error.h"
#include "log_tail.h"
#include "signals_blocked.h"

namespace rxscope {
namespace {

// What precedes each record in a batch; see OnBatch in src/addon/addon.ts.
struct Frame {
  uint32_t cpu;
  uint32_t size;
};
constexpr size_t kFrameAlign = 8;

// A perf record's length is a u16, so this much beyond the mark holds the record that reaches it.
constexpr size_t kLargestFrame = sizeof(Frame) + UINT16_MAX + 1;

struct SampleRecord {
  perf_event_header header;
  uint32_t size;
  uint8_t data[];
};

struct LostRecord {
  perf_event_header header;
  uint64_t id;
  uint64_t lost;
};

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void Check(napi_env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

// Marks the time in which the callback runs, however it ends.
class Scope {
 public:
  explicit Scope(bool& flag) : flag_(flag) { flag_ = true; }
  ~Scope() { flag_ = false; }

 private:
  bool& flag_;
};

}  // namespace

EventReader::EventReader(Napi::Env env, const Options& options) : env_(env), options_(options) {
  Check(env_, napi_async_init(env_, nullptr, Napi::String::New(env_, "rxscope:events"),
                              &async_context_));
}

// One that was opened has left in OnClosed already: it keeps itself until then.
EventReader::~EventReader() { LeaveAsyncHooks(); }

void EventReader::Open(Napi::Object keeper, const std::string& map, int map_fd,
                       Napi::Function on_batch) {
  OpenRings(map, map_fd);
  try {
    Watch(keeper, on_batch);
  } catch (...) {
    Close();
    throw;
  }
}

void EventReader::FreePerfBuffer::operator()(perf_buffer* buffer) const {
  perf_buffer__free(buffer);
}

void EventReader::OpenRings(const std::string& map, int map_fd) {
  const std::string action = "read events from map " + map;
  const size_t ring_bytes = options_.pages_per_cpu * PageBytes();
  if (options_.wakeup_bytes >= ring_bytes)
    throw Failure("events", EINVAL, action,
                  "wakeupBytes of " + std::to_string(options_.wakeup_bytes) +
                      " would never be reached in a ring of " + std::to_string(ring_bytes))
        .Map(map);

  perf_event_attr attr{};
  attr.size = sizeof(attr);
  attr.type = PERF_TYPE_SOFTWARE;
  attr.config = PERF_COUNT_SW_BPF_OUTPUT;
  attr.sample_type = PERF_SAMPLE_RAW;
  attr.sample_period = 1;
  if (options_.wakeup_bytes > 0) {
    attr.watermark = 1;
    attr.wakeup_watermark = options_.wakeup_bytes;
  } else {
    attr.wakeup_events = 1;
  }

  const SignalsBlocked quiet;
  LogTail log;
  const auto on_record = [](void* context, int cpu, perf_event_header* header) {
    return static_cast<EventReader*>(context)->Append(cpu, header) ? LIBBPF_PERF_EVENT_CONT
                                                                   : LIBBPF_PERF_EVENT_DONE;
  };
  // Opens a ring for each CPU that is online. One that comes later has none: there the program's
  // bpf_perf_event_output fails, and the program counts that.
  rings_.reset(
      perf_buffer__new_raw(map_fd, options_.pages_per_cpu, &attr, on_record, this, nullptr));
  if (rings_ == nullptr) {
    const int error = errno;
    throw Failure("events", error, action).Map(map).Log(log.Text());
  }
  ring_count_ = perf_buffer__buffer_cnt(rings_.get());
}

void EventReader::Watch(Napi::Object keeper, Napi::Function on_batch) {
  keeper_ = Napi::Persistent(keeper);
  on_batch_ = Napi::Persistent(on_batch);
  if (!PrepareBatch()) throw Napi::Error::New(env_);

  uv_loop_t* loop = nullptr;
  Check(env_, napi_get_uv_event_loop(env_, &loop));
  const int error = uv_poll_init(loop, &readable_, perf_buffer__epoll_fd(rings_.get()));
  if (error != 0) throw Failure("events", error, "watch the event rings");
  uv_idle_init(loop, &unfinished_);
  open_handles_ = 2;
  self_ = shared_from_this();
  readable_.data = this;
  unfinished_.data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(&readable_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&unfinished_));

  // Asynchronous, because a worker's loop may only end after libuv has closed our handles.
  const auto on_teardown = [](napi_async_cleanup_hook_handle, void* data) {
    static_cast<EventReader*>(data)->Close();
  };
  Check(env_, napi_add_async_cleanup_hook(env_, on_teardown, this, &cleanup_hook_));

  const auto on_readable = [](uv_poll_t* handle, int, int) {
    auto* reader = static_cast<EventReader*>(handle->data);
    // Where the idle handle runs, it is at it already.
    if (!uv_is_active(reinterpret_cast<uv_handle_t*>(&reader->unfinished_)))
      reader->DeliverFromLoop();
  };
  const int refused = uv_poll_start(&readable_, UV_READABLE, on_readable);
  if (refused != 0) throw Failure("events", refused, "watch the event rings");
  ContinueOnNextTurn();
}

void EventReader::Close() {
  if (closed_) return;
  closed_ = true;
  if (open_handles_ > 0) {
    // Takes the descriptor out of libuv's set now, so that it may be closed below.
    uv_close(reinterpret_cast<uv_handle_t*>(&readable_), OnClosed);
    uv_close(reinterpret_cast<uv_handle_t*>(&unfinished_), OnClosed);
  }
  rings_.reset();
  on_batch_.Reset();
  buffer_.Reset();
  keeper_.Reset();
}

void EventReader::LeaveAsyncHooks() {
  if (async_context_ != nullptr) napi_async_destroy(env_, async_context_);
  async_context_ = nullptr;
}

void EventReader::OnClosed(uv_handle_t* handle) {
  auto* reader = static_cast<EventReader*>(handle->data);
  if (--reader->open_handles_ > 0) return;
  // Not in Close: that may run inside a callback which uses the context.
  reader->LeaveAsyncHooks();
  if (reader->cleanup_hook_ != nullptr) napi_remove_async_cleanup_hook(reader->cleanup_hook_);
  const auto last = std::move(reader->self_);
}

void EventReader::Drain() {
  if (closed_) return;
  if (delivering_)
    throw Failure("events", EBUSY, "drain the event rings", "a batch is being delivered");
  const Scope scope(delivering_);
  const auto deliver = [this] {
    napi_value arguments[2];
    if (!TakeBatch(arguments)) throw Napi::Error::New(env_);
    on_batch_.Call({arguments[0], arguments[1]});
    if (!closed_ && !PrepareBatch()) throw Napi::Error::New(env_);
  };

  // What a throwing callback makes us leave behind follows from the loop.
  ContinueOnNextTurn();
  if (!PrepareBatch()) throw Napi::Error::New(env_);
  const size_t ring_bytes = options_.pages_per_cpu * PageBytes();
  for (size_t ring = 0; ring < ring_count_; ring++) {
    // No more than a ring holds is taken from each, or a steady storm would keep us here for ever.
    for (size_t taken = 0; taken < ring_bytes; taken += batch_.taken) {
      FillFromRing(ring);
      if (!batch_.full) break;
      deliver();
      if (closed_) return;
    }
  }
  if (HasBatch()) deliver();
}

void EventReader::ContinueOnNextTurn() {
  uv_idle_start(&unfinished_, [](uv_idle_t* handle) {
    static_cast<EventReader*>(handle->data)->DeliverFromLoop();
  });
}

void EventReader::DeliverFromLoop() {
  // Only a callback that runs the loop itself gets here; what is due then waits for a later turn.
  if (delivering_) return;
  // A callback that closes us and then runs the loop would see the last of us.
  const auto alive = shared_from_this();
  const Scope scope(delivering_);
  const Napi::HandleScope handles(env_);
  if (!PrepareBatch()) return;
  FillFromAllRings();
  if (unasked_turns_ > 0) unasked_turns_--;
  // Decided before the callback, which may close the reader or throw.
  if (batch_.full || unasked_turns_ > 0)
    ContinueOnNextTurn();
  else
    uv_idle_stop(&unfinished_);
  if (!HasBatch()) return;

  napi_value arguments[2];
  if (!TakeBatch(arguments)) return;
  const napi_status status =
      napi_make_callback(env_, async_context_, env_.Global(), on_batch_.Value(),
                         std::size(arguments), arguments, nullptr);
  // No JavaScript of the caller's is on the stack: an exception is the process' to handle. When a
  // worker is being terminated there is a failure, but no exception.
  bool thrown = false;
  napi_value exception = nullptr;
  if (status != napi_ok && napi_is_exception_pending(env_, &thrown) == napi_ok && thrown &&
      napi_get_and_clear_last_exception(env_, &exception) == napi_ok)
    napi_fatal_exception(env_, exception);
}

void EventReader::FillFromAllRings() {
  for (size_t count = 0; count < ring_count_ && !batch_.full; count++) {
    FillFromRing(next_ring_);
    next_ring_ = (next_ring_ + 1) % ring_count_;
  }
}

void EventReader::FillFromRing(size_t ring) {
  batch_.taken = 0;
  // Its result tells nothing: Append knows why it stopped.
  perf_buffer__consume_buffer(rings_.get(), ring);
}

bool EventReader::Append(int cpu, const perf_event_header* header) {
  batch_.taken += header->size;
  if (header->type == PERF_RECORD_LOST) {
    batch_.lost += reinterpret_cast<const LostRecord*>(header)->lost;
    return true;
  }
  if (header->type != PERF_RECORD_SAMPLE) return true;

  const auto* sample = reinterpret_cast<const SampleRecord*>(header);
  const Frame frame{static_cast<uint32_t>(cpu), sample->size};
  uint8_t* into = batch_.data + batch_.used;
  std::memcpy(into, &frame, sizeof(frame));
  std::memcpy(into + sizeof(frame), sample->data, sample->size);
  const size_t bytes = sizeof(frame) + sample->size;
  const size_t padding = (kFrameAlign - bytes % kFrameAlign) % kFrameAlign;
  // The buffer is reused: what an earlier batch left there is not part of this one.
  std::memset(into + bytes, 0, padding);
  batch_.used += bytes + padding;
  // The next record is most likely as long as this one.
  batch_.full = batch_.used + bytes + padding > options_.batch_bytes_max;
  return !batch_.full;
}

bool EventReader::PrepareBatch() {
  const size_t capacity = options_.batch_bytes_max + kLargestFrame;
  void* data = nullptr;
  size_t bytes = 0;
  if (!buffer_.IsEmpty() &&
      napi_get_arraybuffer_info(env_, buffer_.Value(), &data, &bytes) != napi_ok)
    return false;
  // At first, and after JavaScript has transferred the buffer to another thread.
  if (bytes < capacity) {
    napi_value buffer = nullptr;
    if (napi_create_arraybuffer(env_, capacity, &data, &buffer) != napi_ok) return false;
    buffer_ = Napi::Persistent(Napi::ArrayBuffer(env_, buffer));
  }
  batch_.data = static_cast<uint8_t*>(data);
  return true;
}

bool EventReader::TakeBatch(napi_value arguments[2]) {
  const Batch batch = std::exchange(batch_, Batch{.taken = batch_.taken});
  return napi_create_typedarray(env_, napi_uint8_array, batch.used, buffer_.Value(), 0,
                                &arguments[0]) == napi_ok &&
         napi_create_double(env_, static_cast<double>(batch.lost), &arguments[1]) == napi_ok;
}

}  // namespace rxscope
