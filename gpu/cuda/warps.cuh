/* Sums over the threads of a warp and of a block, by trees of one shape: the same bits every time. */
#pragma once
#include "common.cuh"

constexpr unsigned ALL_LANES = ~0u;

/* The sum over the lanes of a warp, the same in all. */
__device__ __forceinline__ double sum_of_warp(double value) {
    for (int mask = LANES / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(ALL_LANES, value, mask);
    return value;
}

/* The sum over the lanes up to this one. */
__device__ __forceinline__ long long sum_up_to_lane(long long value) {
    const int lane = int(threadIdx.x) % LANES;
    for (int step = 1; step < LANES; step *= 2) {
        const long long below = __shfl_sync(ALL_LANES, value, (lane + LANES - step) % LANES);
        if (lane >= step) value += below;
    }
    return value;
}

/* The sum over the threads of a block of `WARPS` warps, the same in all; a barrier lies between two uses of of_warp. */
template <int WARPS>
__device__ __forceinline__ double sum_of_block(const double value, double (&of_warp)[WARPS]) {
    const double sum = sum_of_warp(value);
    if (threadIdx.x % LANES == 0) of_warp[threadIdx.x / LANES] = sum;
    __syncthreads();
    double total = 0;
    for (int warp = 0; warp < WARPS; warp++) total += of_warp[warp];
    return total;
}

/* The sum over the threads of a block up to this one, and that of all. */
struct Scan {
    long long up_to_thread, all;
};

template <int WARPS>
__device__ __forceinline__ Scan scan_block(const long long value, long long (&of_warp)[WARPS]) {
    const int warp = int(threadIdx.x) / LANES;
    const long long up_to_lane = sum_up_to_lane(value);
    __syncthreads();  // what was there before has been read
    if (threadIdx.x % LANES == LANES - 1) of_warp[warp] = up_to_lane;
    __syncthreads();
    Scan scan = {up_to_lane, 0};
    for (int w = 0; w < WARPS; w++) {
        if (w < warp) scan.up_to_thread += of_warp[w];
        scan.all += of_warp[w];
    }
    return scan;
}
