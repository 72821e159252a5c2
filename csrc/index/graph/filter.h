// What a beam search may return. A node that is not allowed is still walked through.
#pragma once

#include "core/row_set.h"

namespace vdb {

struct AllowAll {
  static constexpr bool kAll = true;
  bool operator()(Slot) const noexcept { return true; }
};

struct AllowRows {
  static constexpr bool kAll = false;
  const RowSet& rows;
  bool operator()(Slot slot) const noexcept { return rows.contains(slot); }
};

}  // namespace vdb
