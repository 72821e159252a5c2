// The kinds of codes by the names Python knows them by.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"
#include "codec/code_store.h"

namespace vdb::bindings {

inline constexpr std::array<std::string_view, 4> kCodecKinds{"sq8", "rabitq", "pq", "projection"};  // by CodecKind

inline std::string_view name_of(CodecKind kind) { return kCodecKinds[static_cast<std::size_t>(kind)]; }

inline CodecKind parse_codec_kind(std::string_view name) {
  const auto found = std::find(kCodecKinds.begin(), kCodecKinds.end(), name);
  if (found != kCodecKinds.end()) return static_cast<CodecKind>(found - kCodecKinds.begin());
  std::string known;
  for (const std::string_view kind : kCodecKinds) known.append(known.empty() ? "" : ", ").append(kind);
  throw InvalidArgument("unknown codes '" + std::string(name) + "'; expected one of " + known);
}

}  // namespace vdb::bindings
