// Optimised product quantisation (Ge, He, Ke and Sun, CVPR 2013, the non-parametric solution): the rotation under which
// product quantisation loses least, found by fitting codebooks and rotation in turn.
#pragma once

#include <cstddef>
#include <vector>

#include "codec/product_codebook.h"
#include "core/matrix_view.h"

namespace vdb {

// A rotation is a dense (dim, dim) matrix applied to every row and query: beyond, it costs more than what it saves.
inline constexpr std::size_t kMaxOpqDim = 1024;

// Row i of the result is coordinate i of a rotated vector. Starts from the identity and lowers the sample's error round
// by round; the identity where rows are all zero. Rows are a sample already: a smaller one is taken only for speed.
std::vector<float> train_rotation(const MatrixView& rows, const ProductShape& shape, const ProductTraining& training);

}  // namespace vdb
