// What an inverted file learns from a sample of its rows.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "index/ivf/ivf.h"

namespace vdb {

struct IvfTraining {
  std::shared_ptr<const IvfModel> model;
  std::vector<float> centroids;  // (lists, dim), in code space
};

// Lists for so many rows.
std::size_t lists_for(std::size_t rows, const IvfParams& params) noexcept;

// From a sample of `slots`; none where no row can be learned from. The same for any number of threads.
std::optional<IvfTraining> train_ivf(const VectorView& view, const std::vector<Slot>& slots, const IvfParams& params,
                                     const IvfExtend& options);

}  // namespace vdb
