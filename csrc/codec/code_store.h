// The codes of one vector column: a trained codec and a record for every slot it covers. Derived data, like a graph:
// one writer trains it and extends it while searches go on over the records they saw.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "codec/product_quantizer.h"
#include "codec/projection.h"
#include "codec/rabitq.h"
#include "codec/scalar_quantizer.h"
#include "core/row_set.h"
#include "core/vectors.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

using Codec = std::variant<ScalarQuantizer, Rabitq, ProductQuantizer, Projection>;

enum class CodecKind : std::uint32_t { kSq8 = 0, kRabitq = 1, kPq = 2, kProjection = 3 };  // in the order of Codec

// Orthonormal directions of a sample, (width, dim), greatest energy first.
struct Basis {
  std::vector<float> directions;
  std::size_t width;
  bool lossless;  // the sample has no energy outside them
};
using FindBasis = std::function<Basis(const TrainingRows&)>;

struct CodeParams {
  CodecKind kind = CodecKind::kSq8;
  std::size_t dim = 0;
  Metric metric = Metric::kL2;
  std::uint64_t seed = 42;
  std::size_t bits = 0;       // of a dimension (kRabitq) or of a sub-quantiser (kPq)
  std::size_t m = 0;          // sub-quantisers (kPq)
  bool opq = false;           // (kPq)
  FindBasis find_basis = {};  // (kProjection) called by extend() on its own thread
  // (kSq8, kRabitq) Records begin where a gather reads the fewest cache lines. Those of two bits are in two pieces: a
  // scan of the signs then reads lines that stand together. Of records of two lines it would read every other one, and
  // those share half of the sets of a cache: on a Zen 4 a row took 15 to 20 ns, and 5 in pieces.
  bool aligned = false;
};

struct CodeExtend {
  const RowSet* rows;  // slots with a vector, to train on; null: all
  std::size_t threads;
  CancelToken* cancel;                                                // not null
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread
};

class CodeStore {
 public:
  // A codec and records that no later extend() changes.
  struct Snapshot {
    std::shared_ptr<const Codec> codec;  // null before the first extend()
    std::shared_ptr<const AlignedBuffer<std::uint8_t>> buffer;
    std::size_t covered = 0;
    std::size_t stride = 0;  // of a piece of a record
    std::size_t pieces = 1;  // of a record, 2 where they are aligned and halve: see CodeRows
    std::size_t plane = 0;
    Metric metric = Metric::kL2;  // of the vectors
    std::size_t trained_on = 0;   // rows there were to train on when the codec was

    CodeRows rows(std::size_t begin, std::size_t end) const noexcept {
      return {buffer->data() + begin * stride, end - begin, stride, plane};
    }
    // The first piece.
    const std::uint8_t* record(Slot slot) const noexcept { return buffer->data() + std::size_t{slot} * stride; }
    std::size_t row_bytes() const noexcept { return pieces * stride; }
  };

  explicit CodeStore(const CodeParams& params);

  // Encodes the slots in [covered(), view.n), allowed or not; trains first where the codec saw too few rows so far.
  // Cancelled leaves what was covered before.
  void extend(const VectorView& view, const CodeExtend& options);

  Snapshot snapshot() const;

  // The same codes under other slot numbers: slots [0, slots) are those that a covered slot becomes, kAbsentSlot drops
  // one.
  std::unique_ptr<CodeStore> renumbered(std::span<const Slot> new_slot_of, std::size_t slots) const;

  std::uint64_t save(const std::string& path, Bytes identity) const;
  static std::unique_ptr<CodeStore> load(const std::string& path, FindBasis find_basis = {});

  // The codes as sections of a snapshot, their own or that of an index they belong to.
  struct Image {
    Snapshot codes;
    std::vector<unsigned char> params;
    std::vector<unsigned char> codec;  // empty where nothing is covered yet

    std::vector<Section> sections() const;  // valid while the image lives
  };
  Image image() const;
  // Corrupted where the sections are not those of codes. Leaves identity() empty.
  static std::unique_ptr<CodeStore> restore(const Container& file, FindBasis find_basis = {});

  const CodeParams& params() const noexcept { return params_; }
  const std::vector<unsigned char>& identity() const noexcept { return identity_; }
  std::size_t covered() const { return snapshot().covered; }
  std::size_t memory_bytes() const;  // of the records, with the room to grow, and of the codec

 private:
  struct Work;

  // Fills in the codec, its pieces and what it was trained on. False where there is no row to learn from.
  bool train(const Work& work, Snapshot& into) const;
  // The slots from `into.covered` on, for which there is room.
  void encode(const Work& work, const Snapshot& into, std::uint8_t* records) const;

  CodeParams params_;
  std::vector<unsigned char> identity_;
  std::mutex writer_;
  mutable std::mutex snapshot_mutex_;
  Snapshot snapshot_;
};

// What a stored vector is multiplied by to become what a codec sees: 1/length under cosine, else 1.
inline float code_scale(const VectorView& view, Slot slot) noexcept {
  return view.metric == Metric::kCosine ? view.inverse_norms[slot] : 1.0F;
}

// The vector a codec sees: float32, of length 1 under cosine. NaN, of which every codec says nothing, where the length
// is so small or large that the products of stored vectors may lose the angle, or is 0.
void to_code_space(const VectorView& view, Slot slot, float inverse_norm, float* out) noexcept;

}  // namespace vdb
