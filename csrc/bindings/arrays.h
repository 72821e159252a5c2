// The only conversions between numpy arrays and views. Nothing is copied or cast: an array of another dtype or layout
// is refused, because a silent copy of a gigabyte is a bug.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string>

#include "base/check.h"
#include "core/search_batch.h"
#include "core/search_stats.h"

namespace vdb::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

// (rows, columns) of a matrix argument.
struct Matrix {
  const float* data;
  std::size_t rows;
  std::size_t columns;
};

inline Matrix matrix(const Array<float>& array, const char* name) {
  VDB_CHECK(array.ndim() == 2, std::string(name) + " must have two dimensions, got " + std::to_string(array.ndim()));
  return {array.data(), static_cast<std::size_t>(array.shape(0)), static_cast<std::size_t>(array.shape(1))};
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
