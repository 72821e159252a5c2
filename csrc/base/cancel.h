// A way to stop a long call: any thread may cancel(); the thread that made the token also asks its hook now and then
// (the binding's hook looks for Ctrl-C). Workers poll the same token and only see the flag.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

namespace vdb {

class CancelToken {
 public:
  CancelToken() = default;
  // `hook` returns true to cancel; it runs on the constructing thread only, at most once per kHookInterval.
  explicit CancelToken(std::function<bool()> hook);

  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  // True once the call should end. Cheap enough for every few microseconds of work.
  bool poll();

 private:
  static constexpr std::chrono::milliseconds kHookInterval{20};

  std::atomic<bool> cancelled_{false};
  std::function<bool()> hook_;
  std::thread::id owner_;
  std::chrono::steady_clock::time_point next_hook_;
};

}  // namespace vdb
