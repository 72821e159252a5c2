// Passes of one kernel over rows, for benches only: the loop is here so that Python's own calls are not measured.
#include <algorithm>
#include <functional>
#include <numeric>

#include "base/aligned_buffer.h"
#include "base/prefetch.h"
#include "bindings/arrays.h"
#include "bindings/register.h"
#include "bindings/testing.h"

namespace vdb::bindings {
namespace {

struct Rows {
  const std::byte* query;
  CodeRows rows;
  std::size_t dim;
};

// One pass over the rows; `out` has room for them.
using Pass = std::function<void(const Rows&, void* out)>;

const CodeKernels::Forms* code_forms(const Kernels& kernels, const std::string& name) {
  if (name == "u8") return &kernels.code.u8;
  if (name == "u4") return &kernels.code.u4;
  if (name == "u2") return &kernels.code.u2;
  return name == "u1" ? &kernels.code.u1 : nullptr;
}

const DistanceKernels* distance_kernels(const Kernels& kernels, const std::string& name) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat16, Dtype::kBfloat16, Dtype::kInt8}) {
    if (name == name_of(dtype)) return &kernels.distance(dtype);
  }
  return nullptr;
}

constexpr std::size_t kPlanes = 4;  // of the query of bit codes
constexpr std::size_t kWordBits = 64;

// The block form of a kernel: l2_squared or inner_product of a dtype, or the product of a code.
Pass block_pass(const Kernels& kernels, const std::string& name, const std::string& operation) {
  if (const DistanceKernels* const distance = distance_kernels(kernels, name)) {
    const auto& forms = operation == "l2_squared" ? distance->l2_squared : distance->inner_product;
    return [block = forms.block](const Rows& r, void* out) {
      block(r.query, r.rows.data, r.rows.n, r.dim, static_cast<float*>(out));
    };
  }
  if (const CodeKernels::Forms* const code = code_forms(kernels, name)) {
    return [block = code->block](const Rows& r, void* out) {
      block(r.rows, reinterpret_cast<const std::int8_t*>(r.query), r.dim, static_cast<std::int32_t*>(out));
    };
  }
  if (name == "bits") {
    return [block = kernels.bit_code.block](const Rows& r, void* out) {
      const auto* const planes = reinterpret_cast<const std::uint64_t*>(r.query);
      block(r.rows, {planes, kPlanes, r.dim / kWordBits}, static_cast<std::uint32_t*>(out));
    };
  }
  if (name == "pq8") {
    return [block = kernels.pq.lookup8_block](const Rows& r, void* out) {
      block(reinterpret_cast<const float*>(r.query), r.rows, r.dim, static_cast<float*>(out));
    };
  }
  VDB_CHECK(name == "pq4", "unknown kernel '" + name + "'");
  return [scan = kernels.pq.scan4](const Rows& r, void* out) {  // a row is a block of 32 codes
    scan(reinterpret_cast<const std::uint8_t*>(r.query), r.rows.data, r.rows.n, r.dim,
         static_cast<std::uint16_t*>(out));
  };
}

// The signature SimSIMD gives its kernels of two dense vectors.
using Foreign = void (*)(const void* a, const void* b, std::uint64_t dim, double* out);

Pass foreign_pass(std::uintptr_t address) {
  return [kernel = reinterpret_cast<Foreign>(address)](const Rows& r, void* out) {
    for (std::size_t i = 0; i < r.rows.n; ++i) {
      kernel(r.query, r.rows.data + i * r.rows.stride, r.dim, static_cast<double*>(out) + i);
    }
  };
}

// Rows of one call of a kernel: what it writes stays in cache, as in a scan.
constexpr std::size_t kChunkRows = 512;
constexpr std::size_t kOutBytesPerRow = 64;  // the 32 counts of a block of 4-bit codes

void run(const Pass& pass, const py::buffer& query, const py::buffer& rows, std::size_t dim, std::size_t passes) {
  const py::buffer_info q = query.request();
  const py::buffer_info r = rows.request();
  VDB_CHECK(r.ndim == 2 && PyBuffer_IsContiguous(r.view(), 'C') != 0, "rows must be a C-contiguous matrix");
  VDB_CHECK(PyBuffer_IsContiguous(q.view(), 'C') != 0, "the query must be C-contiguous");
  const auto n = static_cast<std::size_t>(r.shape[0]);
  const auto stride = static_cast<std::size_t>(r.shape[1] * r.itemsize);
  const auto* const data = static_cast<const std::uint8_t*>(r.ptr);
  AlignedBuffer<std::byte> out(kChunkRows * kOutBytesPerRow, std::byte{0});
  const py::gil_scoped_release release;
  for (std::size_t i = 0; i < passes; ++i) {
    for (std::size_t begin = 0; begin < n; begin += kChunkRows) {
      const CodeRows chunk{data + begin * stride, std::min(kChunkRows, n - begin), stride};
      pass({static_cast<const std::byte*>(q.ptr), chunk, dim}, out.data());
    }
  }
}

// The sum of a buffer's 64-bit words: as fast as memory can be read.
std::uint64_t read_through(const Array<std::uint64_t>& words) {
  const py::gil_scoped_release release;
  return std::accumulate(words.data(), words.data() + words.size(), std::uint64_t{0});
}

// Bit products of the records named by `slots`, four at a time, those `ahead` further on asked for meanwhile.
std::uint64_t gather_bits(const Array<std::uint64_t>& planes, const Array<std::uint64_t>& codes,
                          const Array<Slot>& slots, std::size_t ahead) {
  const auto words = static_cast<std::size_t>(codes.shape(1));
  const auto record = [&](std::size_t i) { return codes.data() + std::size_t{slots.data()[i]} * words; };
  const BitCodeKernels::Query query{planes.data(), kPlanes, words};
  const std::size_t lines = lines_of(words * sizeof(std::uint64_t));
  const auto n = static_cast<std::size_t>(slots.size()) / 4 * 4;
  const py::gil_scoped_release release;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < n; i += 4) {
    for (std::size_t j = i + ahead; j < std::min(i + ahead + 4, n); ++j) {
      prefetch_lines(record(j), lines);
    }
    const std::uint8_t* four[4];
    for (std::size_t j = 0; j < 4; ++j) four[j] = reinterpret_cast<const std::uint8_t*>(record(i + j));
    std::uint32_t out[4];
    kernels().bit_code.x4(four, query, out);
    total += out[0] + out[1] + out[2] + out[3];
  }
  return total;
}

// The sum of the records' words, in the same order and as far ahead: what memory gives without any product.
std::uint64_t gather_words(const Array<std::uint64_t>& codes, const Array<Slot>& slots, std::size_t ahead) {
  const auto words = static_cast<std::size_t>(codes.shape(1));
  const auto record = [&](std::size_t i) { return codes.data() + std::size_t{slots.data()[i]} * words; };
  const std::size_t lines = lines_of(words * sizeof(std::uint64_t));
  const auto n = static_cast<std::size_t>(slots.size());
  const py::gil_scoped_release release;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (i + ahead < n) prefetch_lines(record(i + ahead), lines);
    total = std::accumulate(record(i), record(i) + words, total);
  }
  return total;
}

}  // namespace

void register_runs(py::module_& module) {
  py::module_ testing = module.attr("testing").cast<py::module_>();
  testing.def(
      "run_block",
      [](const std::string& isa, const std::string& kernel, const std::string& operation, const py::buffer& query,
         const py::buffer& rows, std::size_t dim,
         std::size_t passes) { run(block_pass(kernels_of_level(isa), kernel, operation), query, rows, dim, passes); },
      py::arg("isa"), py::arg("kernel"), py::arg("operation"), py::arg("query"), py::arg("rows"), py::arg("dim"),
      py::arg("passes") = 1);
  testing.def(
      "run_foreign",
      [](std::uintptr_t address, const py::buffer& query, const py::buffer& rows, std::size_t dim, std::size_t passes) {
        run(foreign_pass(address), query, rows, dim, passes);
      },
      py::arg("address"), py::arg("query"), py::arg("rows"), py::arg("dim"), py::arg("passes") = 1);
  testing.def("read_through", &read_through, py::arg("words").noconvert());
  testing.def("gather_words", &gather_words, py::arg("codes").noconvert(), py::arg("slots").noconvert(),
              py::arg("ahead") = 16);
  testing.def("gather_bits", &gather_bits, py::arg("planes").noconvert(), py::arg("codes").noconvert(),
              py::arg("slots").noconvert(), py::arg("ahead") = 16);
}

}  // namespace vdb::bindings
