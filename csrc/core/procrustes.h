// The orthogonal Procrustes problem (Schoenemann 1966): of all rotations, the one that agrees best with a matrix is its
// orthogonal polar factor. Found by Newton-Schulz iteration, which is nothing but matrix products and so runs on the
// inner-product kernels at every level; a Jacobi SVD of 1,024 dimensions would take tens of seconds.
#pragma once

#include <cstddef>
#include <vector>

namespace vdb {

struct PolarParams {
  std::size_t dim;
  std::size_t threads = 0;  // 0: all
};

// The orthogonal R that maximises trace(R^T M) for M = `matrix` (dim, dim), up to what float32 resolves: directions
// with less than kPolarFloor of the average singular value stay as they are in `previous`, an orthogonal matrix. Since
// those are pulled towards `previous` and no other is, trace(R^T M) is never below trace(previous^T M). Returns
// `previous` where the iteration does not converge.
std::vector<float> polar_factor(const std::vector<float>& matrix, const std::vector<float>& previous,
                                const PolarParams& params);
inline constexpr float kPolarFloor = 1e-4F;

// A nearly orthogonal matrix made orthogonal to the last bits of float32: one step in float64.
void orthogonalize(std::vector<float>& rotation, const PolarParams& params);

// The Frobenius norm of R R^T - I in float64, which bounds how far any singular value is from 1.
double orthogonality_error(const std::vector<float>& rotation, const PolarParams& params);

}  // namespace vdb
