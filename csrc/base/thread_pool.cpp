#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace vdb {
namespace {

thread_local bool inside_loop = false;

// One parallel_for in flight: workers take the next chunk until none is left.
struct Job {
  const ParallelFor& loop;
  const std::function<void(const Chunk&)>& body;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex error_mutex;
  std::exception_ptr error;

  void work(std::size_t worker) noexcept {
    inside_loop = true;
    while (!failed.load(std::memory_order_relaxed)) {
      const std::size_t begin = next.fetch_add(loop.grain, std::memory_order_relaxed);
      if (begin >= loop.n) break;
      try {
        body({begin, std::min(begin + loop.grain, loop.n), worker});
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        failed.store(true, std::memory_order_relaxed);
      }
    }
    inside_loop = false;
  }
};

class Pool {
 public:
  explicit Pool(std::size_t threads) {
    for (std::size_t worker = 1; worker < threads; ++worker) {
      threads_.emplace_back([this, worker] { serve(worker); });
    }
  }

  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  // One loop at a time; a second caller runs its loop alone rather than wait.
  bool try_run(Job& job, std::size_t threads) {
    const std::unique_lock turn(turn_, std::try_to_lock);
    if (!turn) return false;
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      job_threads_ = threads;
      running_ = std::min(threads - 1, threads_.size());
      ++generation_;
    }
    wake_.notify_all();
    job.work(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    job_ = nullptr;
    return true;
  }

 private:
  void serve(std::size_t worker) {
    std::size_t seen = 0;
    for (;;) {
      Job* job = nullptr;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
        if (stopping_) return;
        seen = generation_;
        if (worker < job_threads_) job = job_;
      }
      if (job == nullptr) continue;
      job->work(worker);
      const std::lock_guard lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> threads_;
  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Job* job_ = nullptr;
  std::size_t job_threads_ = 0;
  std::size_t running_ = 0;
  std::size_t generation_ = 0;
  bool stopping_ = false;
};

Pool& pool() {
  // Never destroyed: at exit the interpreter may already have frozen the workers.
  static Pool* const instance = new Pool(hardware_threads());
  return *instance;
}

}  // namespace

std::size_t hardware_threads() noexcept {
  static const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());  // a file of /sys each time
  return threads;
}

std::size_t resolve_threads(std::size_t requested) noexcept {
  return requested == 0 ? hardware_threads() : std::min(requested, hardware_threads());
}

void parallel_for(const ParallelFor& loop, const std::function<void(const Chunk&)>& body) {
  if (loop.n == 0) return;
  const ParallelFor sane{loop.n, std::max<std::size_t>(loop.grain, 1), loop.threads};
  const std::size_t chunks = (sane.n + sane.grain - 1) / sane.grain;
  const std::size_t threads = std::min(resolve_threads(sane.threads), chunks);
  Job job{sane, body, {}, {}, {}, {}};
  const bool nested = inside_loop;
  if (threads == 1 || nested || !pool().try_run(job, threads)) {
    job.work(0);
    inside_loop = nested;
  }
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace vdb
