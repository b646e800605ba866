// Drains one perf event array from libuv's loop and hands the records to a JavaScript callback in
// bounded batches. Copies and counts only: what a record means is TypeScript's business.
// An open reader keeps its BPF object alive, but not the process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct perf_buffer;
struct perf_event_header;

namespace rxscope {

class EventReader : public std::enable_shared_from_this<EventReader> {
 public:
  struct Options {
    size_t pages_per_cpu;
    uint32_t wakeup_bytes;
    size_t batch_bytes_max;
  };

  // Tells async_hooks of itself, whose JavaScript may do anything: what the caller knew of its own
  // objects before may be gone afterwards.
  EventReader(Napi::Env env, const Options& options);
  ~EventReader();
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  // Once, and without running JavaScript. `keeper` is the JavaScript object that must not be
  // collected while the reader is open, because it owns `map_fd`. Throws Failure.
  void Open(Napi::Object keeper, const std::string& map, int map_fd, Napi::Function on_batch);

  // Delivers what is in the rings now; what the callback throws comes out of here, and what was not
  // delivered yet follows from the loop. Does nothing once the reader is closed.
  void Drain();

  // Harmless twice, inside the callback, and while the environment is torn down.
  void Close();
  bool closed() const { return closed_; }

 private:
  struct FreePerfBuffer {
    void operator()(perf_buffer* buffer) const;
  };
  // The batch that is being filled; `data` points into buffer_ and is only valid while no
  // JavaScript runs.
  struct Batch {
    uint8_t* data = nullptr;
    size_t used = 0;
    uint64_t lost = 0;
    // Bytes taken out of the ring that is being read, records that are not delivered included.
    size_t taken = 0;
    bool full = false;
  };

  void OpenRings(const std::string& map, int map_fd);
  void Watch(Napi::Object keeper, Napi::Function on_batch);

  void DeliverFromLoop();
  void ContinueOnNextTurn();
  void FillFromAllRings();
  void FillFromRing(size_t ring);
  // Adds a record to the batch; false when the batch is full with it.
  bool Append(int cpu, const perf_event_header* header);

  // Makes buffer_ ready to be filled: anew when JavaScript has transferred it away. False when the
  // environment is ending and makes no more buffers.
  bool PrepareBatch();
  bool HasBatch() const { return batch_.used > 0 || batch_.lost > 0; }
  // Turns the batch into the callback's two arguments and empties it; false as above.
  bool TakeBatch(napi_value arguments[2]);

  void LeaveAsyncHooks();
  static void OnClosed(uv_handle_t* handle);

  const Napi::Env env_;
  const Options options_;
  bool closed_ = false;
  bool delivering_ = false;

  std::unique_ptr<perf_buffer, FreePerfBuffer> rings_;
  size_t ring_count_ = 0;
  // Where the next batch begins, so that a busy CPU cannot starve the ones after it.
  size_t next_ring_ = 0;
  Batch batch_;

  Napi::FunctionReference on_batch_;
  Napi::ObjectReference keeper_;
  Napi::Reference<Napi::ArrayBuffer> buffer_;
  napi_async_context async_context_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_hook_ = nullptr;

  // libuv uses these until OnClosed, hence the reference to ourselves until then. The idle handle
  // runs while something was left in the rings.
  uv_poll_t readable_{};
  uv_idle_t unfinished_{};
  int open_handles_ = 0;
  // How often the loop still looks into the rings unasked: see the top of event_reader.cc.
  int unasked_turns_ = 2;
  std::shared_ptr<EventReader> self_;
};

}  // namespace rxscope
