#include "index/label/overlay.h"

#include <algorithm>

namespace vdb {

void Overlay::add(Slot slot) {
  if (nodes++ % stride != 0) return;
  entries.push_back(slot);
  if (entries.size() <= kEntries) return;
  stride *= 2;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); i += 2) entries[kept++] = entries[i];
  entries.resize(kept);
}

const Overlay* find_overlay(const Overlays& overlays, std::uint32_t label) noexcept {
  const auto found =
      std::lower_bound(overlays.begin(), overlays.end(), label,
                       [](const Overlay& overlay, std::uint32_t wanted) { return overlay.label < wanted; });
  return found != overlays.end() && found->label == label ? &*found : nullptr;
}

}  // namespace vdb
