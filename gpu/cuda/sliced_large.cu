/* W_p^p(theta#u, theta#v) of measures that are too large for a block, some directions ("slices") at a time. Between
   these kernels the library's radix sort runs on one-dimensional arrays of 64-bit keys:

   float, equal masses:  sliced_project   keys: slice << 32 | the value's ordered bits
                         sort             all slices at once; one radix sort has no segments
                         sliced_compare
   otherwise:            sliced_project   keys: the value's ordered bits
                         argsort          all values of all slices: order[rank] is the element at a rank
                         sliced_rank      keys: slice << 40 | rank
                         sort             the slices apart, each still in order
                         sliced_gather    the sorted values
                         sliced_compare, or sliced_accumulate of both and sliced_transport

   Arrays of slices are (slices, n), C-contiguous. sliced_large.py launches them. */
#include "common.cuh"
#include "coupling.cuh"
#include "sums.cuh"
#include "tiles.cuh"
#include "warps.cuh"

enum class Keys { WITH_SLICE, PLAIN };

using Key = unsigned long long;

constexpr int SLICE_BIT = 32, RANK_BITS = 40;
constexpr int PART = 16384;  // places of a block of sliced_compare and sliced_transport; also in sliced_large.py
constexpr int WARPS = THREADS / LANES;

/* Bits that are ordered as the values are: the sign bit set, or all bits turned where it was. */
__device__ __forceinline__ Key ordered(const float value) {
    const unsigned bits = unsigned(__float_as_int(value));
    return bits >> 31 ? ~bits : bits | 1u << 31;
}
__device__ __forceinline__ Key ordered(const double value) {
    const Key bits = Key(__double_as_longlong(value));
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

/* And back. */
template <typename P>
__device__ __forceinline__ P value_of(const Key key) {
    if constexpr (sizeof(P) == sizeof(float)) {
        const unsigned bits = unsigned(key & 0xFFFFFFFFu);
        return __int_as_float(int(bits >> 31 ? bits & 0x7FFFFFFFu : ~bits));
    } else {
        return __longlong_as_double((long long)(key >> 63 ? key & 0x7FFFFFFFFFFFFFFFull : ~key));
    }
}

/* A sorted value as it is stored. */
__device__ __forceinline__ double number(const double value) { return value; }
__device__ __forceinline__ double number(const Key key) { return value_of<float>(key); }

/* keys[s, i] of theta_s . u_i; one block for each tile of slices and points. points is (n, dimensions), directions is
   (slices, dimensions). Sums are as sums.cuh says. */
template <typename P, Keys K>
__global__ void __launch_bounds__(THREADS, sizeof(P) == sizeof(float) ? 3 : 2)
sliced_project(const P* __restrict__ points, const P* __restrict__ directions, const long long n,
               const long long slices, const long long dimensions, unsigned long long* __restrict__ keys) {
    using Memory = Stage<P>;
    SHARED(Memory, stage);
    const long long across = (n + TILE - 1) / TILE;
    const long long slice = blockIdx.x / across * TILE, point = blockIdx.x % across * TILE;
    const int height = int(min(slices - slice, (long long)TILE)), width = int(min(n - point, (long long)TILE));
    Values<P> sum = {}, lost = {};
    for (long long first = 0; first < dimensions; first += DEPTH) {
        const int depth = int(min(dimensions - first, (long long)DEPTH));
        __syncthreads();  // what was staged before has been read
        stage_points(stage.u, directions, dimensions, slice, height, first, depth);
        stage_points(stage.v, points, dimensions, point, width, first, depth);
        __syncthreads();
        for (int c = 0; c < depth;) {
            const int end = min(depth, c + TERMS<P>);
            Values<P> part = {};
#pragma unroll 4
            for (; c < end; c++) EACH_ENTRY(part[i][j] += stage.u[c][row_of(i)] * stage.v[c][column_of(j)])
            EACH_ENTRY(add(sum[i][j], lost[i][j], part[i][j]))
        }
    }
    EACH_ENTRY(if (row_of(i) < height && column_of(j) < width) {
        const long long s = slice + row_of(i);
        const Key prefix = K == Keys::WITH_SLICE ? Key(s) << SLICE_BIT : 0;
        keys[s * n + point + column_of(j)] = prefix | ordered(sum[i][j]);
    })
}

/* The thread's place in the grid. */
__device__ __forceinline__ long long place() { return (long long)blockIdx.x * THREADS + threadIdx.x; }

/* ranks[r] = slice << 40 | r, of the element at rank r. K is Key, here and below. */
template <typename K>
__global__ void __launch_bounds__(THREADS)
sliced_rank(const long long* __restrict__ order, const long long n, const long long count, K* __restrict__ ranks) {
    const long long rank = place();
    if (rank < count) ranks[rank] = K(order[rank] / n) << RANK_BITS | K(rank);
}

/* The element at a place of the sorted slices. */
__device__ __forceinline__ long long element(const long long* __restrict__ order, const Key rank) {
    return order[rank & ((1ull << RANK_BITS) - 1)];
}

template <typename P>
__global__ void __launch_bounds__(THREADS)
sliced_gather(const unsigned long long* __restrict__ keys, const long long* __restrict__ order,
              const unsigned long long* __restrict__ ranks, const long long count, P* __restrict__ values) {
    const long long at = place();
    if (at < count) values[at] = value_of<P>(keys[element(order, ranks[at])]);
}

/* sums[s, i]: the masses of the first i + 1 atoms of a sorted slice; one block for each slice. */
template <typename K>
__global__ void __launch_bounds__(THREADS, 4)
sliced_accumulate(const long long* __restrict__ order, const K* __restrict__ ranks,
                  const long long* __restrict__ masses, const long long n, long long* __restrict__ sums) {
    struct Memory {
        long long of_warp[WARPS];
    };
    SHARED(Memory, memory);
    const long long first = blockIdx.x * n;
    long long before = 0;
    for (long long start = 0; start < n; start += THREADS) {
        const long long i = start + threadIdx.x;
        const long long mass = i < n ? masses[element(order, ranks[first + i]) - first] : 0;
        const Scan scan = scan_block(mass, memory.of_warp);
        if (i < n) sums[first + i] = before + scan.up_to_thread;
        before += scan.all;
    }
}

/* Masses all equal, n >= m: out[s, part] is the sum over the places of a part of the slice. S is how the sorted values
   are stored: double, or float in keys with the slice. */
template <typename S>
__global__ void __launch_bounds__(THREADS)
sliced_compare(const S* __restrict__ u, const S* __restrict__ v, const long long n, const long long m,
               const double p, double* __restrict__ out) {
    struct Memory {
        double of_warp[WARPS];
    };
    SHARED(Memory, memory);
    const long long parts = (n + PART - 1) / PART, slice = blockIdx.x / parts;
    const long long start = blockIdx.x % parts * PART, end = min(n, start + PART);
    u += slice * n;
    v += slice * m;
    double sum = 0;
    for (long long i = start + threadIdx.x; i < end; i += THREADS) {
        const Partners<long long> with(i, n, m);
#pragma unroll 1
        for (int second = 0; second < 1 + (with.second_mass > 0); second++) {
            const double difference = number(u[i]) - number(v[second ? with.second : with.first]);
            sum += double(second ? with.second_mass : with.first_mass) * power(difference, p);
        }
    }
    sum = sum_of_block(sum, memory.of_warp);
    if (threadIdx.x == 0) out[blockIdx.x] = sum / (double(n) * double(m));
}

/* Masses of any size: out[s, part], where the parts' places are the atoms of both. */
template <typename P>
__global__ void __launch_bounds__(THREADS)
sliced_transport(const P* __restrict__ u, const long long* __restrict__ u_sums, const P* __restrict__ v,
                 const long long* __restrict__ v_sums, const long long n, const long long m, const double p,
                 double* __restrict__ out) {
    struct Memory {
        double of_warp[WARPS];
    };
    SHARED(Memory, memory);
    const long long parts = (n + m + PART - 1) / PART, slice = blockIdx.x / parts;
    const long long start = blockIdx.x % parts * PART, end = min(n + m, start + PART);
    u += slice * n;
    u_sums += slice * n;
    v += slice * m;
    v_sums += slice * m;
    const auto u_sum = [u_sums](const long long i) { return u_sums[i]; };
    const auto v_sum = [v_sums](const long long j) { return v_sums[j]; };
    double sum = 0;
    for (long long i = start + threadIdx.x; i < end; i += THREADS) {
        const bool of_u = i < n;
        const long long atom = of_u ? i : i - n;
        const long long before = atom == 0 ? 0 : of_u ? u_sums[atom - 1] : v_sums[atom - 1];
        const Stretch stretch = of_u ? Stretch::ending<false>(u_sums[atom], before, v_sum, m)
                                     : Stretch::ending<true>(v_sums[atom], before, u_sum, n);
        const double difference = of_u ? double(u[atom]) - double(v[stretch.partner])
                                       : double(v[atom]) - double(u[stretch.partner]);
        sum += double(stretch.mass) * power(difference, p);
    }
    sum = sum_of_block(sum, memory.of_warp);
    if (threadIdx.x == 0) out[blockIdx.x] = sum / double(WHOLE);
}
