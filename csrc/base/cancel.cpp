#include "base/cancel.h"

#include <utility>

namespace vdb {

CancelToken::CancelToken(std::function<bool()> hook)
    : hook_(std::move(hook)),
      owner_(std::this_thread::get_id()),
      next_hook_(std::chrono::steady_clock::now() + kHookInterval) {}

bool CancelToken::poll() {
  if (cancelled()) return true;
  if (!hook_ || std::this_thread::get_id() != owner_) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_hook_) return false;
  next_hook_ = now + kHookInterval;
  if (hook_()) cancel();
  return cancelled();
}

}  // namespace vdb
