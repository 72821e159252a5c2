# The only place with -m flags. Everything is compiled for the baseline, and each kernel file for its own level, so
# that no instruction above the baseline can leak into code that runs before the dispatch.

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(VDB_BASELINE_FLAGS -march=x86-64-v2)
  set(VDB_ISA_LEVELS avx2 avx512 avx512_vnni)
  set(VDB_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(VDB_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mprefer-vector-width=512)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's own avx512 headers read a register they leave undefined on purpose.
    list(APPEND VDB_FLAGS_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
  set(VDB_FLAGS_avx512_vnni ${VDB_FLAGS_avx512} -mavx512vnni -mavx512bf16 -mavx512vpopcntdq -mavx512vbmi -mbmi2)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(VDB_BASELINE_FLAGS -march=armv8-a)
  set(VDB_ISA_LEVELS neon neon_dotprod)
  set(VDB_FLAGS_neon "")
  set(VDB_FLAGS_neon_dotprod -march=armv8.2-a+dotprod)
else()
  set(VDB_BASELINE_FLAGS "")
  set(VDB_ISA_LEVELS "")
endif()

# vdb_add_kernels(<target> <family>): csrc/simd/<family>/{scalar,<level>...}.cpp, each with the flags of its level. A
# family without a file for a level has nothing to gain there and uses the table of the level before.
function(vdb_add_kernels target family)
  target_sources(${target} PRIVATE csrc/simd/${family}/scalar.cpp)
  foreach(level IN LISTS VDB_ISA_LEVELS)
    set(source csrc/simd/${family}/${level}.cpp)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      target_sources(${target} PRIVATE ${source})
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${VDB_FLAGS_${level}}")
    endif()
  endforeach()
endfunction()
