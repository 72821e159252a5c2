// VDB_CHECK: a caller or a file can make it false, so it throws. VDB_ASSERT: only a bug in vdb can, so it aborts.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/error.h"

#define VDB_CHECK(condition, message)                        \
  do {                                                       \
    if (!(condition)) throw ::vdb::InvalidArgument(message); \
  } while (false)

#ifdef NDEBUG
#define VDB_ASSERT(condition) static_cast<void>(sizeof(!(condition)))
#else
#define VDB_ASSERT(condition)                                                                \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
#endif
