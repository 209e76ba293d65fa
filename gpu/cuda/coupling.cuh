/* What the optimal coupling on the line costs: quantile functions are compared, mass by mass (Peyre and Cuturi,
   Computational Optimal Transport (2019), remark 2.30). Masses are whole numbers, so that their sums are exact in any
   order, never turn around, and equal measures cost exactly 0; everything else is in double. */
#pragma once
#include "common.cuh"

/* What the weights of a measure sum to; also in gpu/cuda/sliced_packing.py. */
constexpr long long WHOLE = 1LL << 62;

/* |difference|^p. */
__device__ __forceinline__ double power(const double difference, const double p) {
    const double distance = fabs(difference);
    if (p == 1) return distance;
    if (p == 2) return distance * distance;
    return pow(distance, p);
}

/* The atoms of m equal ones that atom `place` of n >= m equal ones meets, and the masses in units of 1 / (n m). They
   are at most two; where there is one, the second has no mass. */
template <typename Integer>
struct Partners {
    Integer first, second, first_mass, second_mass;

    __device__ __forceinline__ Partners(const Integer place, const Integer n, const Integer m) {
        const Integer start = place * m;
        first = n == m ? place : start / n;  // a division takes as long as a hundred additions
        first_mass = min(m, (first + 1) * n - start);
        second_mass = m - first_mass;
        second = first + (second_mass > 0);
    }
};

/* The first of `count` ascending sums that is at least `mass` or, if asked for, greater. */
template <bool GREATER, typename At>
__device__ __forceinline__ long long search(const At& sums, const long long count, const long long mass) {
    long long low = 0, high = count;
    while (low < high) {
        const long long middle = low + (high - low) / 2;
        if (sums(middle) >= mass + GREATER) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Where the mass below an atom's sum goes: the two quantile functions change at the sums of either, and the stretch
   that ends at this sum couples the atom with one of the other measure. At equal sums the stretch belongs to the
   measure that does not ask for GREATER. */
struct Stretch {
    int partner;
    long long mass;

    template <bool GREATER, typename At>
    static __device__ __forceinline__ Stretch ending(const long long sum, const long long sum_before, const At& others,
                                                     const long long n_others) {
        const long long partner = search<GREATER>(others, n_others, sum);
        const long long below = partner > 0 ? others(partner - 1) : 0;
        // Without a partner it is the end of both, where nothing is left.
        return {int(min(partner, n_others - 1)), sum - max(sum_before, below)};
    }
};
