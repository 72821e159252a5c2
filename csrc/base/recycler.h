// Objects that are lent for a while and used again, so that what needs memory to work allocates none once it is warm.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace vdb {

// Each goes back when its handle dies; the recycler must outlive that. Thread-safe.
template <class T>
class Recycler {
 public:
  class Return {
   public:
    explicit Return(Recycler* recycler) noexcept : recycler_(recycler) {}
    void operator()(T* object) const noexcept { recycler_->give_back(object); }

   private:
    Recycler* recycler_;
  };
  using Handle = std::unique_ptr<T, Return>;

  // One that was given back, or one made of `arguments`, which are the same for all.
  template <class... Arguments>
  Handle take(const Arguments&... arguments) {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      all_.push_back(std::make_unique<T>(arguments...));
      free_.reserve(all_.size());
      return Handle(all_.back().get(), Return(this));
    }
    T* const object = free_.back();
    free_.pop_back();
    return Handle(object, Return(this));
  }

 private:
  void give_back(T* object) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(object);  // within reserved capacity
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> free_;
};

}  // namespace vdb
