/* Sums of products that keep their digits however many there are: some are summed, then added to the rest. In float the
   rest is compensated, and the error is that of TERMS additions; in double the digits suffice without. */
#pragma once
#include "common.cuh"

/* How many are summed first: fewer are more exact, and cost more additions. */
template <typename P>
constexpr int TERMS = sizeof(P) == sizeof(float) ? 8 : 32;

/* sum += term, where `lost` is what rounding put into the sum too much, taken off the next term: Kahan, Further remarks
   on reducing truncation errors (1965). */
template <typename P>
__device__ __forceinline__ void add(P& sum, P& lost, const P term) {
    if constexpr (sizeof(P) == sizeof(float)) {
        const P missing = term - lost, next = sum + missing;
        lost = (next - sum) - missing;
        sum = next;
    } else {
        sum += term;
    }
}
