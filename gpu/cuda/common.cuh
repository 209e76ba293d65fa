/* What every .cu file here includes, and nothing else: no CUDA header, so that a C++ compiler reads the same source
   in the tests (tests/emulator), where the language's own words are defined first.

   Rules that both keep: shared variables through SHARED (one named type each, no constructor); __syncthreads() in
   uniform control flow and no return before one; long long for every offset. A shuffle names all lanes. */
#pragma once

#ifdef __CUDACC__
#define SHARED(type, name) __shared__ type name
#endif

constexpr int LANES = 32;  // of a warp

/* The array at a byte offset of a packed buffer, or null: offset < 0 marks an absent one. */
template <typename T>
__device__ __forceinline__ const T* at(const unsigned char* buffer, const long long offset) {
    return offset < 0 ? nullptr : reinterpret_cast<const T*>(buffer + offset);
}

/* The last job whose first tile is not after this one. */
__device__ __forceinline__ long long job_of(const long long* __restrict__ tile_prefix, const long long n_jobs,
                                            const long long tile) {
    long long low = 0, high = n_jobs;
    while (high - low > 1) {
        const long long middle = low + (high - low) / 2;
        if (tile_prefix[middle] <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}
