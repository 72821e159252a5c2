#include "base/cancel.h"

#include <doctest/doctest.h>

namespace vdb {
namespace {

TEST_CASE("a token without a hook is cancelled by cancel() only") {
  CancelToken token;
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(token.poll());
  token.cancel();
  CHECK(token.cancelled());
  CHECK(token.poll());
}

TEST_CASE("cancel() is seen by every thread") {
  CancelToken token;
  std::thread worker([&] {
    while (!token.poll()) std::this_thread::yield();
  });
  token.cancel();
  worker.join();
  CHECK(token.cancelled());
}

TEST_CASE("a hook that returns true cancels and is not asked again") {
  int asked = 0;
  CancelToken token([&] { return ++asked == 2; });
  while (!token.poll()) std::this_thread::yield();
  CHECK(asked == 2);
  CHECK(token.poll());
  CHECK(asked == 2);
}

TEST_CASE("a hook is not asked on every poll") {
  int asked = 0;
  int polls = 0;
  CancelToken token([&] { return ++asked == 3; });
  while (!token.poll()) ++polls;
  CHECK(polls > asked);
}

TEST_CASE("a hook runs on the thread that made the token and on no other") {
  std::thread::id ran_on;
  CancelToken token([&] {
    ran_on = std::this_thread::get_id();
    return true;
  });
  std::thread other([&] {
    for (int i = 0; i < 6; ++i) {  // past several intervals of the hook
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      static_cast<void>(token.poll());
    }
  });
  other.join();
  CHECK(ran_on == std::thread::id());
  CHECK_FALSE(token.cancelled());
  CHECK(token.poll());
  CHECK(ran_on == std::this_thread::get_id());
}

}  // namespace
}  // namespace vdb
