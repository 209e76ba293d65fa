/* Gram matrices, many in one launch: K[i, j] = f(b(u_i, v_j)) p_i q_j, or an expression of such leaves.

   records (bytes): long long tile_prefix[n_jobs + 1], Job[n_jobs], then the Leaf records of all, their Instructions.
   arrays (bytes):  what the leaves name by byte offset: u is (n, dimensions), v is (m, dimensions), row-major.
                    packing.py writes both buffers and mirrors the records.
   out:             the jobs' matrices, row-major, each from its own element offset.
   Launch:          one block of 256 threads for each tile of each job, see tiles.cuh.

   An entry is computed from its two points alone, in one order of operations: neither the batch nor the panel nor the
   half of the matrix it lies in changes a bit of it. */
#include "common.cuh"
#include "families.cuh"
#include "tiles.cuh"

enum class Op { LEAF, ADD, MULTIPLY, SCALE, POWER };

struct Leaf {
    long long u, v, p, q, weights, table;  // byte offsets in arrays, -1 where absent
    long long dimensions, base, function;
    double a, c;
};

struct Instruction {
    long long op, index;
    double value;
};

/* b(u_i, v_j), the points staged DEPTH dimensions at a time. In float these are summed apart and then added, which
   keeps the sum over d dimensions within about DEPTH + d / DEPTH roundings instead of d. */
template <typename P, Base B>
__device__ __forceinline__ void sum_dimensions(Values<P>& b, const Tile& tile, const Leaf& leaf, Stage<P>& stage) {
    constexpr bool APART = sizeof(P) == sizeof(float);
    const P* u = at<P>(tile.arrays, leaf.u);
    const P* v = at<P>(tile.arrays, leaf.v);
    const P* weights = at<P>(tile.arrays, leaf.weights);
    const int thread = threadIdx.x;
    for (long long first = 0; first < leaf.dimensions; first += DEPTH) {
        const int depth = int(min(leaf.dimensions - first, (long long)DEPTH));
        __syncthreads();  // what was in shared memory before has been read
        stage_points(stage.u, u, leaf.dimensions, tile.row, tile.height, first, depth);
        stage_points(stage.v, v, leaf.dimensions, tile.column, tile.width, first, depth);
        if (B == Base::SINE && thread < depth) stage.weights[thread] = weights[first + thread];
        __syncthreads();
        Values<P> part = {};
#pragma unroll(B == Base::SINE ? 1 : 4)
        for (int c = 0; c < depth; c++) {
            const P weight = B == Base::SINE ? stage.weights[c] : P(1);
            Values<P>& sum = APART ? part : b;
            EACH_ENTRY(sum[i][j] += term<P, B>(stage.u[c][row_of(i)], stage.v[c][column_of(j)], weight))
        }
        if (APART) EACH_ENTRY(b[i][j] += part[i][j])
    }
}

template <typename P, Base B>
__device__ __forceinline__ void evaluate_base(Values<P>& b, const Tile& tile, const Leaf& leaf, Stage<P>& stage) {
    EACH_ENTRY(b[i][j] = B == Base::IDENTITY && tile.job.same && tile.row + row_of(i) == tile.column + column_of(j))
    if constexpr (B != Base::IDENTITY && B != Base::NONE) sum_dimensions<P, B>(b, tile, leaf, stage);
}

/* Where unit vectors are nearly opposite, b becomes minus ||u + v||^2: pi - theta comes from it with all its digits,
   while 4 - b has lost half of them. */
template <typename P>
__device__ __forceinline__ void turn_opposites(Values<P>& b, const Tile& tile, const Leaf& leaf) {
    const P* u = at<P>(tile.arrays, leaf.u);
    const P* v = at<P>(tile.arrays, leaf.v);
    EACH_ENTRY(if (b[i][j] > P(3.5)) b[i][j] = opposite(u + (tile.row + row_of(i)) * leaf.dimensions,
                                                        v + (tile.column + column_of(j)) * leaf.dimensions,
                                                        leaf.dimensions))
}

/* value *= p_i q_j. The factors' product is formed first, as it is the same in K[j, i]. */
template <typename P>
__device__ __forceinline__ void apply_factors(Values<P>& value, const Tile& tile, const Leaf& leaf) {
    const P* p = at<P>(tile.arrays, leaf.p);
    const P* q = at<P>(tile.arrays, leaf.q);
    if (!p && !q) return;
    EACH_ENTRY(if (tile.has(i, j)) {
        value[i][j] *= (p ? p[tile.row + row_of(i)] : P(1)) * (q ? q[tile.column + column_of(j)] : P(1));
    })
}

/* A leaf whose base and function are known when it is compiled. */
template <typename P, Base B, Function F>
__device__ __forceinline__ void evaluate_leaf(Values<P>& value, const Tile& tile, const Leaf& leaf, Stage<P>& stage) {
    const P a = P(leaf.a), c = P(leaf.c);
    const P* table = at<P>(tile.arrays, leaf.table);
    evaluate_base<P, B>(value, tile, leaf, stage);
    if constexpr (F == Function::ARC_COSINE_0) turn_opposites(value, tile, leaf);
    EACH_ENTRY(value[i][j] = apply<P, F>(value[i][j], a, c, table))
    apply_factors(value, tile, leaf);
}

/* A leaf whose base and function are read when it runs: the same for all threads of the block, so that no branch
   diverges. The function is applied in a loop over a copy in local memory, which can be indexed: with it unrolled into
   16 copies of every function, ptxas takes most of a minute. */
template <typename P>
__device__ __forceinline__ void interpret_leaf(Values<P>& value, const Tile& tile, const Leaf& leaf, Stage<P>& stage) {
    const P a = P(leaf.a), c = P(leaf.c);
    const P* table = at<P>(tile.arrays, leaf.table);
    switch (Base(leaf.base)) {
#define CASE(name) \
    case Base::name: evaluate_base<P, Base::name>(value, tile, leaf, stage); break;
        CASE(SQUARED) CASE(ABSOLUTE) CASE(DOT) CASE(SINE) CASE(CHI2) CASE(IDENTITY) CASE(NONE)
#undef CASE
    }
    if (Function(leaf.function) == Function::ARC_COSINE_0) turn_opposites(value, tile, leaf);
    P entries[ROWS * COLUMNS];
    EACH_ENTRY(entries[i * COLUMNS + j] = value[i][j])
#pragma unroll 1
    for (int e = 0; e < ROWS * COLUMNS; e++) {
        switch (Function(leaf.function)) {
#define CASE(name) \
    case Function::name: entries[e] = apply<P, Function::name>(entries[e], a, c, table); break;
            CASE(AFFINE) CASE(EXP) CASE(EXP_ROOT) CASE(MATERN32) CASE(MATERN52) CASE(MATERN_TABLE)
            CASE(RATIONAL_QUADRATIC) CASE(POLYNOMIAL) CASE(TANH)
            CASE(ARC_COSINE_0) CASE(ARC_COSINE_1) CASE(ARC_COSINE_2)
#undef CASE
        }
    }
    EACH_ENTRY(value[i][j] = entries[i * COLUMNS + j])
    apply_factors(value, tile, leaf);
}

/* Blocks on one multiprocessor: as many as leave each thread registers enough not to spill. */
template <typename P, Function F>
constexpr int BLOCKS = sizeof(P) == sizeof(double) ? 2 : F == Function::TANH ? 3 : 4;

/* Jobs of one leaf each, all of the same base and function; computed in P, written in T. */
template <typename T, typename P, Base B, Function F>
__global__ void __launch_bounds__(THREADS, BLOCKS<P, F>)
gram_leaf(const unsigned char* __restrict__ records, const unsigned char* __restrict__ arrays, const long long n_jobs,
          T* __restrict__ out) {
    using Memory = Shared<T, P>;
    SHARED(Memory, memory);
    const Tile tile = find_tile(records, n_jobs, arrays);
    const Leaf& leaf = *at<Leaf>(records, tile.job.leaves);
    Values<P> value;
    evaluate_leaf<P, B, F>(value, tile, leaf, memory.stage);
    store(out, value, tile, memory.turned);
}

/* Jobs of any expressions; computed in P, written in T. The value on top of the stack is in registers, those below it
   in local memory. */
template <typename T, typename P>
__global__ void __launch_bounds__(THREADS, sizeof(P) == sizeof(float) ? 2 : 1)
gram_program(const unsigned char* __restrict__ records, const unsigned char* __restrict__ arrays,
             const long long n_jobs, T* __restrict__ out) {
    constexpr int MAX_BELOW = 5;  // enough for any expression of 32 leaves, see packing.py
    using Memory = Shared<T, P>;
    SHARED(Memory, memory);
    const Tile tile = find_tile(records, n_jobs, arrays);
    const Leaf* leaves = at<Leaf>(records, tile.job.leaves);
    const Instruction* code = at<Instruction>(records, tile.job.code);
    Values<P> top, below[MAX_BELOW];
    int height = 0;
    for (long long step = 0; step < tile.job.code_length; step++) {
        const Instruction instruction = code[step];
        switch (Op(instruction.op)) {
            case Op::LEAF: {
                if (height > 0) EACH_ENTRY(below[height - 1][i][j] = top[i][j])
                height++;
                const Leaf& leaf = leaves[instruction.index];
                interpret_leaf(top, tile, leaf, memory.stage);
                break;
            }
            case Op::ADD:
                height--;
                EACH_ENTRY(top[i][j] += below[height - 1][i][j])
                break;
            case Op::MULTIPLY:
                height--;
                EACH_ENTRY(top[i][j] *= below[height - 1][i][j])
                break;
            case Op::SCALE:
                EACH_ENTRY(top[i][j] *= P(instruction.value))
                break;
            case Op::POWER:
                EACH_ENTRY(top[i][j] = integer_power(top[i][j], int(instruction.index)))
                break;
        }
    }
    store(out, top, tile, memory.turned);
}
