#include "base/recycler.h"

#include <doctest/doctest.h>

#include <functional>

namespace vdb {
namespace {

struct Counted {
  explicit Counted(int& made) : number(++made) {}
  int number;
};

TEST_CASE("what was given back is lent again, and what is lent is lent once") {
  int made = 0;
  const auto take = [&](Recycler<Counted>& recycler) { return recycler.take(std::ref(made)); };
  Recycler<Counted> recycler;
  {
    const auto first = take(recycler);
    const auto second = take(recycler);
    CHECK(first->number == 1);
    CHECK(second->number == 2);
  }
  {
    const auto first = take(recycler);
    const auto second = take(recycler);
    CHECK(first->number != second->number);
    CHECK(take(recycler)->number == 3);
  }
  CHECK(made == 3);
}

}  // namespace
}  // namespace vdb
