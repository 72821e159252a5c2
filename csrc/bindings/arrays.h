// The only conversions between numpy arrays and views. Nothing is copied or cast: an array of another dtype or layout
// is refused, because a silent copy of a gigabyte is a bug.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/check.h"
#include "base/dtype.h"
#include "core/search_batch.h"
#include "core/search_stats.h"

namespace vdb::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

// (rows, columns) stored values. bfloat16, which numpy lacks, comes as the uint16 of its bits.
struct Matrix {
  const std::byte* data;
  std::size_t rows;
  std::size_t columns;
  Dtype dtype;
};

inline Dtype stored_dtype(const py::array& array, const char* name) {
  if (py::isinstance<Array<float>>(array)) return Dtype::kFloat32;
  if (py::isinstance<Array<std::uint16_t>>(array)) return Dtype::kBfloat16;
  if (py::isinstance<Array<std::int8_t>>(array)) return Dtype::kInt8;
  const py::dtype dtype = array.dtype();
  const bool packed = (array.flags() & py::array::c_style) != 0;
  if (packed && dtype.kind() == 'f' && dtype.itemsize() == 2 && dtype.attr("isnative").cast<bool>()) {
    return Dtype::kFloat16;
  }
  throw InvalidArgument(std::string(name) + " must be a C-contiguous array of float32, float16, int8, or uint16 for " +
                        "the bits of bfloat16; got " + (packed ? "" : "a strided array of ") +
                        py::str(dtype).cast<std::string>());
}

inline Matrix matrix(const py::array& array, const char* name) {
  const Dtype dtype = stored_dtype(array, name);
  VDB_CHECK(array.ndim() == 2, std::string(name) + " must have two dimensions, got " + std::to_string(array.ndim()));
  return {static_cast<const std::byte*>(array.data()), static_cast<std::size_t>(array.shape(0)),
          static_cast<std::size_t>(array.shape(1)), dtype};
}

template <class T>
std::span<const T> vector(const Array<T>& array, const char* name) {
  VDB_CHECK(array.ndim() == 1, std::string(name) + " must have one dimension, got " + std::to_string(array.ndim()));
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <class T>
Array<T> to_array(const std::vector<T>& values) {
  return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// (nq, k) outputs, allocated once.
struct AnswerArrays {
  AnswerArrays(std::size_t nq, std::size_t k)
      : slots({static_cast<py::ssize_t>(nq), static_cast<py::ssize_t>(k)}),
        distances({static_cast<py::ssize_t>(nq), static_cast<py::ssize_t>(k)}) {}
  Answers view() { return {slots.mutable_data(), distances.mutable_data()}; }
  py::tuple with(const SearchStats& stats) const { return py::make_tuple(slots, distances, stats); }

  Array<Slot> slots;
  Array<float> distances;
};

}  // namespace vdb::bindings
