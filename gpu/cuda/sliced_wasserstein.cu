/* W_p^p(theta#u, theta#v) of small measures: many requests, and all directions of each, in one launch. Projection, sort
   and the comparison of the quantile functions in one kernel: nothing but its result leaves the multiprocessor.

   records (bytes): long long tile_prefix[n_requests + 1], Request[n_requests].
   points (bytes):  what requests name by byte offset, of type P: u is (d, n), v is (d, m), theta is (directions, d).
   masses (bytes):  weights, long long, by byte offset, in units of 2^-62.
   out:             a double for each direction of each request, from the request's element offset on.
   Launch:          a team (sorting.cuh) for each direction; blocks of all requests are numbered through.

   A direction's value is computed from its request alone, in one order of operations: neither the batch nor the place
   in it changes a bit of it. sliced_packing.py writes the buffers. */
#include "common.cuh"
#include "coupling.cuh"
#include "sorting.cuh"
#include "sums.cuh"
#include "warps.cuh"

struct Request {
    long long n, m, dimensions, directions;  // n >= m where neither has weights
    long long u, v, theta;                   // byte offsets in points
    long long u_mass, v_mass;                // byte offsets in masses, -1 where neither has weights
    long long out;                           // element offset
    double p;
};

constexpr int STAGED = 32;         // dimensions at a time
constexpr int NO_INDEX = 1 << 30;  // of padding: after every atom's

template <Mass M, typename P>
struct SlotOf {
    using Type = P;
};
template <typename P>
struct SlotOf<Mass::WEIGHTED, P> {
    using Type = double;  // a value, an index, or the bits of a sum of masses
};

template <typename P, Mass M, Capacity C>
struct Memory {
    typename SlotOf<M, P>::Type slots[Team<C>::CAPACITY];
    P theta[STAGED];
    double costs[Team<C>::WARPS];
    long long masses[Team<C>::WARPS];
};

/* theta . u_i for the thread's items, padded with infinity; summed as sums.cuh says. */
template <typename P, Mass M, Capacity C>
__device__ __forceinline__ void project(Atoms<P, M, C>& atoms, const P* __restrict__ points, const int n,
                                        const P* __restrict__ theta, const long long dimensions,
                                        Memory<P, M, C>& memory) {
    constexpr int ITEMS = Team<C>::ITEMS, THREADS = Team<C>::THREADS;
    const int thread = Team<C>::thread();
    P lost[ITEMS] = {};
#pragma unroll
    for (int i = 0; i < ITEMS; i++) atoms.value[i] = 0;
    for (long long first = 0; first < dimensions; first += STAGED) {
        const int depth = int(min(dimensions - first, (long long)STAGED));
        Team<C>::sync();  // what was staged before has been read
        if (thread < depth) memory.theta[thread] = theta[first + thread];
        Team<C>::sync();
        const P* row = points + first * n + thread;
#pragma unroll 1
        for (int c = 0; c < depth;) {
            const int end = min(depth, c + TERMS<P>);
            P part[ITEMS] = {};
#pragma unroll 1
            for (; c < end; c++, row += n) {
                const P along = memory.theta[c];
#pragma unroll
                for (int i = 0; i < ITEMS; i++)
                    if (thread + i * THREADS < n) part[i] += along * row[i * THREADS];
            }
#pragma unroll
            for (int i = 0; i < ITEMS; i++) add(atoms.value[i], lost[i], part[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        const int number = thread + i * THREADS;
        if (number >= n) atoms.value[i] = infinity<P>();
        if constexpr (M == Mass::WEIGHTED) atoms.index[i] = number < n ? number : NO_INDEX;
    }
}

template <typename Slot, typename V>
__device__ __forceinline__ Slot slot_of(const V value) {
    return Slot(value);
}
template <typename Slot>
__device__ __forceinline__ Slot slot_of(const long long masses) {
    return __longlong_as_double(masses);
}

/* Lets the team read what each thread has for its places. */
template <Capacity C, typename V, typename Slot>
__device__ __forceinline__ void share(const V (&values)[Team<C>::ITEMS], Slot* slots) {
    const int thread = Team<C>::thread();
    Team<C>::sync();  // what was in the slots before has been read
#pragma unroll
    for (int i = 0; i < Team<C>::ITEMS; i++) slots[i * Team<C>::THREADS + thread] = slot_of<Slot>(values[i]);
    Team<C>::sync();
}

/* Moves each item one to the front, and the first to the end. A loop that only looks at the first item and then rotates
   needs its code and its registers once; unrolled, pow alone would cost the sort a block on each multiprocessor. */
template <typename V, int ITEMS>
__device__ __forceinline__ void rotate(V (&items)[ITEMS]) {
    const V first = items[0];
#pragma unroll
    for (int i = 1; i < ITEMS; i++) items[i - 1] = items[i];
    items[ITEMS - 1] = first;
}

/* Masses all equal: the thread's part of the sum. */
template <typename P, Capacity C>
__device__ __forceinline__ double compare(Atoms<P, Mass::UNIFORM, C>& u, const Atoms<P, Mass::UNIFORM, C>& v,
                                          const Request& request, P* slots) {
    const int n = int(request.n), m = int(request.m), start = Team<C>::thread() * Team<C>::ITEMS;
    double sum = 0;
    share<C>(v.value, slots);
#pragma unroll 1
    for (int place = start; place < start + Team<C>::ITEMS && place < n; place++) {
        const Partners<int> with(place, n, m);
#pragma unroll 1
        for (int turn = 0; turn < 1 + (with.second_mass > 0); turn++) {
            const double difference = double(u.value[0]) - double(slots[Team<C>::slot(turn ? with.second : with.first)]);
            sum += (turn ? with.second_mass : with.first_mass) * power(difference, request.p);
        }
        rotate(u.value);
    }
    return sum / (double(n) * m);
}

/* Of the masses: those before the thread's first place, and those up to each of its places. */
template <Capacity C>
struct Sums {
    long long before, up_to[Team<C>::ITEMS];
};

template <typename P, Capacity C>
__device__ __forceinline__ Sums<C> accumulate(const Atoms<P, Mass::WEIGHTED, C>& atoms,
                                              const long long* __restrict__ masses, const int n,
                                              Memory<P, Mass::WEIGHTED, C>& memory) {
    constexpr int ITEMS = Team<C>::ITEMS;
    const int start = Team<C>::thread() * ITEMS;
    Sums<C> sums;
    long long sum = 0;
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        if (start + i < n) sum += masses[atoms.index[i]];
        sums.up_to[i] = sum;
    }
    if constexpr (Team<C>::IS_WARP) sums.before = sum_up_to_lane(sum) - sum;
    if constexpr (!Team<C>::IS_WARP) sums.before = scan_block(sum, memory.masses).up_to_thread - sum;
#pragma unroll
    for (int i = 0; i < ITEMS; i++) sums.up_to[i] += sums.before;
    return sums;
}

/* The stretches that end at each of the thread's sums. */
template <bool GREATER, Capacity C>
__device__ __forceinline__ void couple(Stretch (&stretches)[Team<C>::ITEMS], Sums<C>& sums, const Sums<C>& others,
                                       const int n_others, double* slots) {
    share<C>(others.up_to, slots);
    const auto sum_at = [slots](const long long place) {
        return __double_as_longlong(slots[Team<C>::slot(int(place))]);
    };
    long long before = sums.before;
#pragma unroll 1
    for (int i = 0; i < Team<C>::ITEMS; i++) {
        stretches[0] = Stretch::ending<GREATER>(sums.up_to[0], before, sum_at, n_others);
        before = sums.up_to[0];
        rotate(sums.up_to);
        rotate(stretches);
    }
}

/* What they cost. */
template <typename P, Capacity C>
__device__ __forceinline__ double transport(Stretch (&stretches)[Team<C>::ITEMS], P (&values)[Team<C>::ITEMS],
                                            const P (&others)[Team<C>::ITEMS], const double p, double* slots) {
    share<C>(others, slots);
    double sum = 0;
#pragma unroll 1
    for (int i = 0; i < Team<C>::ITEMS; i++) {
        if (stretches[0].mass > 0) {  // of padding it is 0
            const double difference = double(values[0]) - slots[Team<C>::slot(stretches[0].partner)];
            sum += double(stretches[0].mass) * power(difference, p);
        }
        rotate(values);
        rotate(stretches);
    }
    return sum;
}

/* Masses of any size: the thread's part of the sum. */
template <typename P, Capacity C>
__device__ __forceinline__ double compare(Atoms<P, Mass::WEIGHTED, C>& u, Atoms<P, Mass::WEIGHTED, C>& v,
                                          const Request& request, const unsigned char* __restrict__ masses,
                                          Memory<P, Mass::WEIGHTED, C>& memory) {
    const int n = int(request.n), m = int(request.m);
    Sums<C> u_sums = accumulate(u, at<long long>(masses, request.u_mass), n, memory);
    Sums<C> v_sums = accumulate(v, at<long long>(masses, request.v_mass), m, memory);
    Stretch of_u[Team<C>::ITEMS], of_v[Team<C>::ITEMS];
    couple<false, C>(of_u, u_sums, v_sums, m, memory.slots);
    couple<true, C>(of_v, v_sums, u_sums, n, memory.slots);
    const double sum = transport<P, C>(of_u, u.value, v.value, request.p, memory.slots) +
                       transport<P, C>(of_v, v.value, u.value, request.p, memory.slots);
    return sum / double(WHOLE);
}

/* Threads on one multiprocessor: as many as leave each registers enough not to spill. */
template <typename P, Mass M, Capacity C>
constexpr int RESIDENT = sizeof(P) == sizeof(double) || M == Mass::WEIGHTED ? 512 : Team<C>::IS_WARP ? 768 : 1024;

template <typename P, Mass M, Capacity C>
__global__ void __launch_bounds__(Team<C>::BLOCK, RESIDENT<P, M, C> / Team<C>::BLOCK)
sliced_wasserstein(const unsigned char* __restrict__ records, const unsigned char* __restrict__ points,
                   const unsigned char* __restrict__ masses, const long long n_requests, double* __restrict__ out) {
    using Memories = Memory<P, M, C>[Team<C>::TEAMS];
    SHARED(Memories, memories);
    Memory<P, M, C>& memory = memories[Team<C>::number()];
    const long long* tile_prefix = at<long long>(records, 0);
    const long long index = job_of(tile_prefix, n_requests, blockIdx.x);
    const Request& request = at<Request>(records, (n_requests + 1) * (long long)sizeof(long long))[index];
    const long long direction = (blockIdx.x - tile_prefix[index]) * Team<C>::TEAMS + Team<C>::number();
    if (direction >= request.directions) return;  // a whole team, which waits for no other
    const P* theta = at<P>(points, request.theta) + direction * request.dimensions;
    Atoms<P, M, C> u, v;
    project(u, at<P>(points, request.u), int(request.n), theta, request.dimensions, memory);
    sort(u, memory.slots);
    project(v, at<P>(points, request.v), int(request.m), theta, request.dimensions, memory);
    sort(v, memory.slots);
    double sum;
    if constexpr (M == Mass::UNIFORM) sum = compare(u, v, request, memory.slots);
    if constexpr (M == Mass::WEIGHTED) sum = compare(u, v, request, masses, memory);
    if constexpr (Team<C>::IS_WARP) sum = sum_of_warp(sum);
    if constexpr (!Team<C>::IS_WARP) sum = sum_of_block(sum, memory.costs);
    if (Team<C>::thread() == 0) out[request.out + direction] = sum;
}
