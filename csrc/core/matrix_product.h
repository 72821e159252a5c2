// Products of float32 matrices, made of the inner-product kernels.
#pragma once

#include <cstddef>
#include <vector>

#include "core/matrix_view.h"

namespace vdb {

// a b^T into out (a.n, b.n); a.dim == b.dim. The same values for any number of threads (0: all).
void multiply_by_transpose(const MatrixView& a, const MatrixView& b, std::size_t threads, float* out);

// (dim, n) of (n, dim).
std::vector<float> transposed(const MatrixView& a);

}  // namespace vdb
