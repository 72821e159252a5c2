#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "codec/level_code.h"
#include "codec/rabitq.h"
#include "core/code_packing.h"

namespace vdb {

std::size_t Rabitq::nearest_centroid(const float* rotated) const {
  std::vector<float> distances(n_centroids());
  kernels().distance_f32.l2_squared.block(rotated, centroids_.data(), n_centroids(), padded(), distances.data());
  return static_cast<std::size_t>(std::min_element(distances.begin(), distances.end()) - distances.begin());
}

Rabitq::Residual Rabitq::residual_of(const float* row, std::size_t centroid, std::vector<float> rotated) const {
  Residual residual{std::move(rotated), centroids_.data() + centroid * padded(), 0, 0};
  for (std::size_t i = 0; i < padded(); ++i) {
    const float value = residual.values[i] -= residual.centroid[i];
    residual.norm_squared += double{value} * double{value};
    residual.centre_term += double{value} * double{residual.centroid[i]};
  }
  for (std::size_t d = 0; d < dim(); ++d) {
    residual.centre_term += (double{row[d]} - double{mean_[d]}) * double{mean_[d]};
  }
  return residual;
}

// A sign stands for +-1/2, so that it is also the first bit of a longer code.
Rabitq::Products Rabitq::encode_signs(const Residual& residual, std::uint8_t* record) const {
  std::vector<std::uint8_t> signs(padded());
  Products code{0, 0, 0.25 * static_cast<double>(padded())};
  for (std::size_t i = 0; i < padded(); ++i) {
    const double value = double{residual.values[i]};
    signs[i] = value >= 0 ? 1 : 0;
    code.residual += 0.5 * std::abs(value);
    code.centroid += (value >= 0 ? 0.5 : -0.5) * double{residual.centroid[i]};
  }
  pack_codes(signs.data(), padded(), 1, record);
  return code;
}

Rabitq::Products Rabitq::encode_parts(const Residual& residual, std::uint8_t* record, std::size_t gap) const {
  std::vector<std::uint8_t> values(padded());
  const LevelProducts code = encode_levels({residual.values, residual.centroid}, params_.bits, values.data());
  for (const Part& part : parts().subspan(1)) pack_part(values, part, record + gap + part.offset);
  return {code.residual, code.other, code.norm_squared};
}

// The factors of algorithm 1 in the papers; both centroid products are of centred vectors, since the query is.
Rabitq::Factors Rabitq::factors_of(const Products& code, const Residual& residual) const {
  const double scale = residual.norm_squared / code.residual;
  const double cosine_squared = code.residual * code.residual / (code.norm_squared * residual.norm_squared);
  const double tangent = std::sqrt(std::max(1 - cosine_squared, 0.0) / cosine_squared);
  const double error = std::sqrt(residual.norm_squared) * tangent * spread() * double{params_.epsilon0};
  if (l2()) {
    return {static_cast<float>(residual.norm_squared + 2 * scale * code.centroid), static_cast<float>(-2 * scale),
            static_cast<float>(2 * error)};
  }
  return {static_cast<float>(scale * code.centroid - residual.centre_term), static_cast<float>(-scale),
          static_cast<float>(error)};
}

void Rabitq::store(const SignFactors& signs, const Factors& full, std::uint8_t* record, std::size_t gap) const {
  std::memcpy(record + sign_bytes(), &signs, sizeof signs);
  if (!signs_only()) std::memcpy(record + gap + record_bytes_ - sizeof full, &full, sizeof full);
}

void Rabitq::encode(const float* row, std::uint8_t* record, std::size_t plane) const {
  const std::size_t gap = gap_of(plane);
  std::vector<float> rotated(padded());
  rotate(row, rotated.data());
  const std::size_t centroid = nearest_centroid(rotated.data());
  const Residual residual = residual_of(row, centroid, std::move(rotated));
  SignFactors signs{{}, 0, static_cast<std::uint16_t>(centroid)};
  if (!(residual.norm_squared > 0) || !std::isfinite(residual.norm_squared)) {
    // The centroid itself; or a row too long for float32, of which nothing is known.
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const bool exact = residual.norm_squared == 0;
    signs.factors.add = !exact ? kInfinity : l2() ? 0.0F : static_cast<float>(-residual.centre_term);
    signs.factors.error = exact ? 0.0F : kInfinity;
    std::memset(record, 0, sign_record_bytes());
    std::memset(record + gap + sign_record_bytes(), 0, record_bytes_ - sign_record_bytes());
    store(signs, signs.factors, record, gap);
    return;
  }
  signs.factors = factors_of(encode_signs(residual, record), residual);
  std::size_t ones = 0;
  for (const float value : residual.values) ones += value >= 0 ? 1U : 0U;
  // All signs set in 65,536 dimensions would be one too many: a part in 65,536 of a product is no loss.
  signs.ones = static_cast<std::uint16_t>(std::min<std::size_t>(ones, std::numeric_limits<std::uint16_t>::max()));
  store(signs, signs_only() ? Factors{} : factors_of(encode_parts(residual, record, gap), residual), record, gap);
}

void Rabitq::decode(const std::uint8_t* record, float* row, std::size_t plane) const {
  const std::size_t gap = gap_of(plane);
  std::vector<std::uint8_t> values(padded());
  std::vector<std::uint8_t> part_values(padded());
  for (const Part& part : parts()) {
    unpack_codes(record + part.offset + (part.offset == 0 ? 0 : gap), padded(), part.bits, part_values.data());
    for (std::size_t i = 0; i < padded(); ++i) {
      values[i] = static_cast<std::uint8_t>(values[i] + (part_values[i] << part.shift));
    }
  }
  const double middle = (std::exp2(static_cast<double>(params_.bits)) - 1) / 2;
  double norm_squared = 0;
  for (const std::uint8_t value : values) norm_squared += (value - middle) * (value - middle);
  // The rescale is that of an unbiased product; the nearest multiple of the code is shorter by the squared cosine.
  const Factors factors = signs_only() ? sign_factors(record).factors : full_factors(record, gap);
  const double unit = l2() ? 2.0 : 1.0;
  const double scale = -double{factors.rescale} / unit;
  const double beside = double{factors.error} / (unit * spread() * double{params_.epsilon0});
  const double sine_squared = beside * beside / (scale * scale * norm_squared);
  const double step = std::isfinite(sine_squared) ? scale * (1 - sine_squared) : 0.0;
  const float* const centroid =
      centroids_.data() + std::min<std::size_t>(sign_factors(record).centroid, n_centroids() - 1) * padded();
  std::vector<float> rotated(padded());
  for (std::size_t i = 0; i < padded(); ++i) {
    rotated[i] = static_cast<float>(double{centroid[i]} + step * (values[i] - middle));
  }
  rotation_.inverse(rotated.data(), rotated.data());
  for (std::size_t d = 0; d < dim(); ++d) row[d] = mean_[d] + rotated[d];
}

}  // namespace vdb
