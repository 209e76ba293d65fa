/* A team of threads sorts the atoms that it holds in registers: a bitonic network in which every comparison puts the
   smaller atom first, so that padding stays at the end. Batcher, Sorting networks and their applications (1968).

   Thread t of the team ends with the places t * ITEMS ... t * ITEMS + ITEMS - 1 of the sorted sequence. Within a thread
   registers are compared, within a warp they are shuffled, beyond it they meet in shared memory. A team is a warp, of
   which a block has several, or a whole block. */
#pragma once
#include "common.cuh"
#include "warps.cuh"

/* The most atoms that a team sorts; also in gpu/cuda/sliced.py. */
enum class Capacity { C32, C64, C128, C256, C512, C1024, C2048, C4096 };

/* Whether atoms keep the number that their weight is found by; also in gpu/cuda/sliced.py. */
enum class Mass { UNIFORM, WEIGHTED };

template <Capacity C>
struct Team {
    static constexpr int CAPACITY = LANES << int(C);
    static constexpr int ITEMS = CAPACITY < 8 * LANES ? CAPACITY / LANES : 8;  // of a thread
    static constexpr int THREADS = CAPACITY / ITEMS;
    static constexpr int WARPS = THREADS / LANES;
    static constexpr bool IS_WARP = WARPS == 1;
    static constexpr int TEAMS = IS_WARP ? 8 : 1;  // of a block
    static constexpr int BLOCK = TEAMS * THREADS;

    static __device__ __forceinline__ int number() { return int(threadIdx.x) / THREADS; }
    static __device__ __forceinline__ int thread() { return int(threadIdx.x) % THREADS; }
    static __device__ __forceinline__ void sync() {
        if constexpr (IS_WARP) __syncwarp(ALL_LANES);
        if constexpr (!IS_WARP) __syncthreads();
    }
    /* Where shared memory keeps a place of the sorted sequence: threads write it without bank conflicts. */
    static __device__ __forceinline__ int slot(const int place) { return place % ITEMS * THREADS + place / ITEMS; }
};

/* A thread's share of the atoms. */
template <typename P, Mass M, Capacity C>
struct Atoms {
    P value[Team<C>::ITEMS];
    int index[M == Mass::WEIGHTED ? Team<C>::ITEMS : 1];
};

template <typename P>
__device__ __forceinline__ P infinity() {
    if constexpr (sizeof(P) == sizeof(float)) return __int_as_float(0x7F800000);
    if constexpr (sizeof(P) == sizeof(double)) return __longlong_as_double(0x7FF0000000000000LL);
}

/* Keeps the smaller of atoms i and j at i. Equal values are in the order of their indices, so that the sequence does
   not depend on the network. */
template <typename P, Mass M, Capacity C>
__device__ __forceinline__ void order(Atoms<P, M, C>& atoms, const int i, const int j) {
    const P a = atoms.value[i], b = atoms.value[j];
    if constexpr (M == Mass::UNIFORM) {
        atoms.value[i] = min(a, b);
        atoms.value[j] = max(a, b);
    } else {
        const int a_index = atoms.index[i], b_index = atoms.index[j];
        const bool turned = b < a || (b == a && b_index < a_index);
        atoms.value[i] = turned ? b : a;
        atoms.value[j] = turned ? a : b;
        atoms.index[i] = turned ? b_index : a_index;
        atoms.index[j] = turned ? a_index : b_index;
    }
}

/* The partner's atoms, item i from its item i or, where reversed, from its last but i. */
template <Capacity C, bool REVERSED, typename V, typename Slot>
__device__ __forceinline__ void exchange(V (&theirs)[Team<C>::ITEMS], const V (&mine)[Team<C>::ITEMS], const int mask,
                                         Slot* slots) {
    constexpr int ITEMS = Team<C>::ITEMS, THREADS = Team<C>::THREADS;
    if (Team<C>::IS_WARP || mask < LANES) {
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            theirs[i] = __shfl_xor_sync(ALL_LANES, mine[REVERSED ? ITEMS - 1 - i : i], mask);
    } else {
        const int thread = Team<C>::thread();
        Team<C>::sync();  // what was in the slots before has been read
#pragma unroll
        for (int i = 0; i < ITEMS; i++) slots[i * THREADS + thread] = Slot(mine[i]);
        Team<C>::sync();
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            theirs[i] = V(slots[(REVERSED ? ITEMS - 1 - i : i) * THREADS + (thread ^ mask)]);
    }
}

/* Compares every atom with the partner thread's: the lower thread keeps the smaller ones. */
template <bool REVERSED, typename P, Mass M, Capacity C, typename Slot>
__device__ __forceinline__ void compare_threads(Atoms<P, M, C>& atoms, const int mask, const bool lower, Slot* slots) {
    constexpr int ITEMS = Team<C>::ITEMS;
    P value[ITEMS];
    exchange<C, REVERSED>(value, atoms.value, mask, slots);
    if constexpr (M == Mass::UNIFORM) {
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            atoms.value[i] = lower ? min(atoms.value[i], value[i]) : max(atoms.value[i], value[i]);
    } else {
        int index[ITEMS];
        exchange<C, REVERSED>(index, atoms.index, mask, slots);
#pragma unroll
        for (int i = 0; i < ITEMS; i++) {
            const bool theirs_first =
                value[i] < atoms.value[i] || (value[i] == atoms.value[i] && index[i] < atoms.index[i]);
            if (theirs_first == lower) {
                atoms.value[i] = value[i];
                atoms.index[i] = index[i];
            }
        }
    }
}

/* The stages of a merge that stay within threads. */
template <typename P, Mass M, Capacity C>
__device__ __forceinline__ void merge_items(Atoms<P, M, C>& atoms, const int first_stride) {
    constexpr int ITEMS = Team<C>::ITEMS;
#pragma unroll
    for (int stride = ITEMS / 2; stride > 0; stride /= 2) {
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            if (stride <= first_stride && !(i & stride)) order(atoms, i, i ^ stride);
    }
}

template <typename P, Mass M, Capacity C, typename Slot>
__device__ __forceinline__ void sort(Atoms<P, M, C>& atoms, Slot* slots) {
    constexpr int ITEMS = Team<C>::ITEMS;
    const int thread = Team<C>::thread();
#pragma unroll
    for (int run = 2; run <= ITEMS; run *= 2) {
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            if (!(i & run / 2)) order(atoms, i, i ^ (run - 1));
        merge_items(atoms, run / 4);
    }
#pragma unroll 1
    for (int run = 2; run <= Team<C>::THREADS; run *= 2) {
        compare_threads<true>(atoms, run - 1, !(thread & run / 2), slots);
#pragma unroll 1
        for (int stride = run / 4; stride > 0; stride /= 2)
            compare_threads<false>(atoms, stride, !(thread & stride), slots);
        merge_items(atoms, ITEMS / 2);
    }
}
