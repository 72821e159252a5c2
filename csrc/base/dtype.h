// What the values of a stored vector are. The numbers are those of the vector files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vdb {

enum class Dtype : std::uint8_t { kFloat32 = 1, kFloat16 = 2, kBfloat16 = 3, kInt8 = 4 };

constexpr std::size_t bytes_per_value(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::kFloat32: return 4;
    case Dtype::kFloat16:
    case Dtype::kBfloat16: return 2;
    case Dtype::kInt8: break;
  }
  return 1;
}

constexpr std::string_view name_of(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::kFloat32: return "float32";
    case Dtype::kFloat16: return "float16";
    case Dtype::kBfloat16: return "bfloat16";
    case Dtype::kInt8: break;
  }
  return "int8";
}

}  // namespace vdb
