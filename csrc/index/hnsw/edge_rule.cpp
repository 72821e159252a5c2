#include "index/hnsw/edge_rule.h"

#include <string>

#include "base/check.h"

namespace vdb {

EdgeRule edge_rule_of(const HnswParams& params) {
  if (params.gamma == 0) {
    VDB_CHECK(params.m_beta == 0,
              "m_beta belongs to a graph with gamma, got m_beta " + std::to_string(params.m_beta) + " and gamma 0");
    return HnswEdges(params);
  }
  const std::size_t most = HnswParams::kMaxCandidates / params.M;
  VDB_CHECK(params.gamma <= most, "gamma must be from 1 to " + std::to_string(most) +
                                      " for M = " + std::to_string(params.M) + ", got " + std::to_string(params.gamma));
  VDB_CHECK(params.m_beta >= 1 && params.m_beta <= params.gamma * params.M,
            "m_beta must be from 1 to gamma * M = " + std::to_string(params.gamma * params.M) + ", got " +
                std::to_string(params.m_beta));
  VDB_CHECK(!params.packed, "packed neighbours are of the rows of HNSW, got gamma " + std::to_string(params.gamma));
  return AcornEdges(params);
}

}  // namespace vdb
