/* Ragged batches of matrices by tiles: which entries a block computes, its points in shared memory, its writes.

   A block computes one tile of TILE x TILE entries of one job: 256 threads, 8 x 2 entries each. A warp covers 32
   neighbouring columns, so that it writes whole lines. blockIdx.x numbers the tiles of all jobs; a binary search in
   the tile prefix finds the job. A job is rows [first_row, first_row + rows) of a matrix, so that one larger than the
   device is built panel by panel. Of a whole symmetric matrix only the tiles on and above the diagonal are computed;
   the others are their transposes, turned in shared memory so that both writes are coalesced. */
#pragma once
#include "common.cuh"

constexpr int TILE = 64, DEPTH = 16, THREADS = 256;
constexpr int ROWS = TILE / (THREADS / LANES), COLUMNS = TILE / LANES;  // of one thread
constexpr int STRIDE = TILE + 4;  // keeps a dimension's points 16-byte aligned and spreads them over the banks

struct Job {
    long long rows, first_row, columns;
    long long out;                        // element offset of its first row
    long long leaves, code, code_length;  // byte offsets in records; a count
    long long same;                       // x and y are one set of points
    long long mirror;                     // compute half and write its transpose
};

/* A thread's entries: row_of(i), column_of(j) within the tile, for i < ROWS and j < COLUMNS. */
__device__ __forceinline__ int row_of(const int i) { return int(threadIdx.x) / LANES * ROWS + i; }
__device__ __forceinline__ int column_of(const int j) { return int(threadIdx.x) % LANES + j * LANES; }

struct Tile {
    const Job& job;
    const unsigned char* arrays;
    long long row, column;  // of its first entry, within the whole matrix
    int height, width;      // at most TILE; less at the job's last row and column

    __device__ __forceinline__ bool has(const int i, const int j) const {
        return row_of(i) < height && column_of(j) < width;
    }
};

template <typename T>
using Values = T[ROWS][COLUMNS];  // a thread's entries

/* A statement for each of a thread's entries; unrolled, or they would leave the registers. */
#define EACH_ENTRY(...)                                                      \
    _Pragma("unroll") for (int i = 0; i < ROWS; i++) {                       \
        _Pragma("unroll") for (int j = 0; j < COLUMNS; j++) { __VA_ARGS__; } \
    }

template <typename P>
struct Stage {
    P u[DEPTH][STRIDE], v[DEPTH][STRIDE], weights[DEPTH];
};

/* The points in flight, or the tile on its way to being transposed: never both. */
template <typename T, typename P>
union Shared {
    Stage<P> stage;
    T turned[TILE][TILE + 1];
};

/* The block's tile. The upper triangle of s tiles a side is numbered as a rectangle s | 1 wide, whose row r holds row
   r of the triangle behind what is left of it: row s - 1 - r (s even) or s - r (s odd). */
__device__ __forceinline__ Tile find_tile(const unsigned char* __restrict__ records, const long long n_jobs,
                                          const unsigned char* __restrict__ arrays) {
    const long long* tile_prefix = at<long long>(records, 0);
    const long long index = job_of(tile_prefix, n_jobs, blockIdx.x);
    const Job& job = at<Job>(records, (n_jobs + 1) * (long long)sizeof(long long))[index];
    const long long number = blockIdx.x - tile_prefix[index], side = (job.columns + TILE - 1) / TILE;
    long long row = number / side, column = number % side;
    if (job.mirror) {
        const long long even = 1 - side % 2, r = number / (side | 1), c = number % (side | 1);
        const bool behind = c >= r + even;
        row = behind ? r : side - even - r;
        column = behind ? c - even : side - 1 - c;
    }
    return {job,
            arrays,
            job.first_row + row * TILE,
            column * TILE,
            int(min(job.rows - row * TILE, (long long)TILE)),
            int(min(job.columns - column * TILE, (long long)TILE))};
}

/* Copies `depth` dimensions from `first` on of `count` points from `row` on, dimension-major; zeros beyond either. */
template <typename P>
__device__ __forceinline__ void stage_points(P (&to)[DEPTH][STRIDE], const P* __restrict__ points,
                                             const long long dimensions, const long long row, const int count,
                                             const long long first, const int depth) {
    const P* from = points + row * dimensions + first;
    const int c = int(threadIdx.x) % DEPTH;
    for (int r = int(threadIdx.x) / DEPTH; r < TILE; r += THREADS / DEPTH) {
        to[c][r] = r < count && c < depth ? from[r * dimensions + c] : P(0);
    }
}

/* Writes the thread's entries in the job's type, and their transposes where the job is mirrored and the tile is off
   the diagonal. */
template <typename T, typename P>
__device__ __forceinline__ void store(T* __restrict__ out, const Values<P>& value, const Tile& tile,
                                      T (&turned)[TILE][TILE + 1]) {
    const long long columns = tile.job.columns;
    T* matrix = out + tile.job.out;
    T* first = matrix + (tile.row - tile.job.first_row + row_of(0)) * columns + tile.column + column_of(0);
    EACH_ENTRY(if (tile.has(i, j)) first[i * columns + j * LANES] = T(value[i][j]))
    if (tile.job.mirror && tile.row != tile.column) {
        __syncthreads();  // the staged points have been read
        EACH_ENTRY(turned[column_of(j)][row_of(i)] = T(value[i][j]))
        __syncthreads();
        first = matrix + (tile.column + row_of(0)) * columns + tile.row + column_of(0);
        EACH_ENTRY(if (row_of(i) < tile.width && column_of(j) < tile.height) first[i * columns + j * LANES] =
                       turned[row_of(i)][column_of(j)])
    }
}
