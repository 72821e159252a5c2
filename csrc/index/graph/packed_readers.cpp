#include "index/graph/packed_readers.h"

#include <thread>

namespace vdb {

void PackedReaders::wait_for_earlier() noexcept {
  const std::size_t phase = phase_.load(std::memory_order_relaxed);
  // Readers that looked up the phase before the last turn and counted themselves after it.
  drain(1 - phase);
  phase_.store(1 - phase, std::memory_order_release);
  drain(phase);
}

void PackedReaders::drain(std::size_t phase) noexcept {
  // An addition and not a load: a reader that counts itself later reads what this wrote and so sees all that was
  // published before.
  while (counters_[phase].active.fetch_add(0, std::memory_order_acq_rel) != 0) std::this_thread::yield();
}

}  // namespace vdb
