#include "codec/product_bound.h"

#include "codec/rounding.h"

namespace vdb {
namespace {

constexpr std::size_t kSpareSteps = 8;  // rounding outside the sums: differences, squares, the bound's own arithmetic
constexpr double kManySteps = 1.01;     // n steps together are at most n / (1 - n u) of one, for any n here

}  // namespace

ProductBound::ProductBound(const Terms& terms) : l2_(terms.metric == Metric::kL2) {
  const bool rotates = terms.rotation_error > 0;
  const double tiny = rotates ? static_cast<double>(kTiny) : 0.0;
  moved_ = rounded_up(terms.rotation_error * terms.query_norm + tiny);
  const double relative =
      kManySteps * static_cast<double>(terms.additions + kSpareSteps) * kFloatUnit + ranking_error(terms.dim);
  reach_ = rounded_up(terms.query_norm * (1 + terms.rotation_error) * (1 + relative) + tiny);
  relative_ = rounded_up(relative);
  absolute_ = rounded_up(relative * terms.query_norm * (1 + terms.rotation_error) * terms.max_norm +
                         tiny * terms.max_norm + static_cast<double>(kTiny));
}

}  // namespace vdb
