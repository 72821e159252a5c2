// CMakeLists.txt runs this file once for each value of VDB_ISA, because a process chooses its level once.
#include "simd/isa.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

constexpr Isa kIsas[] = {Isa::kScalar, Isa::kNeon, Isa::kNeonDotprod, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni};

TEST_CASE("every machine has the scalar level, and it is the lowest") {
  REQUIRE_FALSE(available_isas().empty());
  CHECK(available_isas().front() == Isa::kScalar);
  CHECK(std::is_sorted(available_isas().begin(), available_isas().end()));
}

TEST_CASE("every level has a name of its own") {
  CHECK(name_of(Isa::kScalar) == "scalar");
  CHECK(name_of(Isa::kNeon) == "neon");
  CHECK(name_of(Isa::kNeonDotprod) == "neon_dotprod");
  CHECK(name_of(Isa::kAvx2) == "avx2");
  CHECK(name_of(Isa::kAvx512) == "avx512");
  CHECK(name_of(Isa::kAvx512Vnni) == "avx512_vnni");
}

// A level adds to the one before it, so a family may leave it to that level's table.
TEST_CASE("a machine that runs a level runs the levels below it, of one architecture") {
  const auto& isas = available_isas();
  const auto runs = [&](Isa isa) { return std::find(isas.begin(), isas.end(), isa) != isas.end(); };
  if (runs(Isa::kAvx512Vnni)) CHECK(runs(Isa::kAvx512));
  if (runs(Isa::kAvx512)) CHECK(runs(Isa::kAvx2));
  if (runs(Isa::kNeonDotprod)) CHECK(runs(Isa::kNeon));
  CHECK_FALSE((runs(Isa::kNeon) && runs(Isa::kAvx2)));
}

TEST_CASE("the best level is used unless VDB_ISA names another, and a level the machine lacks is an error") {
  const char* variable = std::getenv("VDB_ISA");
  const std::string forced = variable == nullptr ? "" : variable;
  const auto& isas = available_isas();
  const bool known = std::any_of(isas.begin(), isas.end(), [&](Isa isa) { return name_of(isa) == forced; });
  if (forced.empty()) {
    CHECK(active_isa() == isas.back());
  } else if (known) {
    CHECK(name_of(active_isa()) == forced);
    CHECK(&kernels() == &kernels_for(active_isa()));
  } else {
    const std::string message = "VDB_ISA is '" + forced + "'; this machine has scalar";
    CHECK_THROWS_WITH_AS(active_isa(), doctest::Contains(message.c_str()), InvalidArgument);
    CHECK_THROWS_WITH_AS(kernels(), doctest::Contains("Unset VDB_ISA"), InvalidArgument);  // and stays one
  }
}

TEST_CASE("the kernels of a level the machine lacks are refused") {
  const auto& isas = available_isas();
  for (const Isa isa : kIsas) {
    if (std::find(isas.begin(), isas.end(), isa) != isas.end()) {
      CHECK_NOTHROW(kernels_for(isa));
    } else {
      CHECK_THROWS_AS(kernels_for(isa), InvalidArgument);
    }
  }
}

}  // namespace
}  // namespace vdb
