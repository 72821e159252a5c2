#include "core/custom_distance.h"

#include <vector>

namespace vdb {

float* widening_room(std::size_t dim) {
  thread_local std::vector<float> room;
  if (room.size() < 2 * dim) room.resize(2 * dim);
  return room.data();
}

}  // namespace vdb
