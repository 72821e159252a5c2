// Which edges a graph has: the one thing in which HNSW and ACORN differ while they are built and repaired.
#pragma once

#include <variant>

#include "index/hnsw/acorn_edges.h"
#include "index/hnsw/hnsw_edges.h"
#include "index/hnsw/params.h"

namespace vdb {

using EdgeRule = std::variant<HnswEdges, AcornEdges>;

// InvalidArgument where gamma or m_beta are out of range.
EdgeRule edge_rule_of(const HnswParams& params);

}  // namespace vdb
