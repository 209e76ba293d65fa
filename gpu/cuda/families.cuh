/* Kernel families on the device: a leaf's value is f(b(u, v)), b summed over dimensions. The enums and the formulas
   are those of gpu/leaves.py; every formula is symmetric in u and v to the last bit, so that K(x, x) is. */
#pragma once

enum class Base { SQUARED, ABSOLUTE, DOT, SINE, CHI2, IDENTITY, NONE };

enum class Function {
    AFFINE,
    EXP,
    EXP_ROOT,
    MATERN32,
    MATERN52,
    MATERN_TABLE,
    RATIONAL_QUADRATIC,
    POLYNOMIAL,
    TANH,
    ARC_COSINE_0,
    ARC_COSINE_1,
    ARC_COSINE_2,
};

/* One dimension's part of b. The differences are taken directly: expanding ||u||^2 + ||v||^2 - 2 u.v loses all digits
   of close points that are far from the origin. */
template <typename P, Base B>
__device__ __forceinline__ P term(const P u, const P v, const P weight) {
    if constexpr (B == Base::DOT) return u * v;
    const P difference = u - v;
    if constexpr (B == Base::SQUARED) return difference * difference;
    if constexpr (B == Base::ABSOLUTE) return fabs(difference);
    if constexpr (B == Base::SINE) {
        const P sine = sin(difference);
        return weight * (sine * sine);
    }
    if constexpr (B == Base::CHI2) {
        const P sum = u + v;  // the quotient first: a square of small numbers underflows
        return sum > P(0) ? difference * (difference / sum) : P(0);
    }
}

template <typename P>
__device__ __forceinline__ P integer_power(P base, int exponent) {
    P result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return result;
}

/* -||u + v||^2, at most -TINY so that its sign can be seen. */
template <typename P>
__device__ __noinline__ P opposite(const P* __restrict__ u, const P* __restrict__ v, const long long dimensions) {
    constexpr P TINY = P(1e-30);
    P sum = TINY;
    for (long long c = 0; c < dimensions; c++) sum += (u[c] + v[c]) * (u[c] + v[c]);
    return -sum;
}

/* J_order(theta) / pi of unit vectors at squared distance b. sin^2(theta / 2) = b / 4 keeps small angles' digits,
   which arccos(u . v) loses. For order 0 a negative b is minus the squared distance to the opposite vector. */
template <typename P, int ORDER>
__device__ __forceinline__ P arc_cosine(const P b) {
    constexpr P PI = P(3.14159265358979323846);
    if (ORDER == 0 && b < P(0)) return 2 * asin(sqrt(-b / 4)) / PI;
    const P half_sine_squared = min(b / 4, P(1));
    const P rest = PI - 2 * asin(sqrt(half_sine_squared));  // pi - theta
    const P cosine = 1 - 2 * half_sine_squared;
    const P sine = 2 * sqrt(half_sine_squared * (1 - half_sine_squared));
    if constexpr (ORDER == 0) return rest / PI;
    if constexpr (ORDER == 1) return (sine + rest * cosine) / PI;
    return (3 * sine * cosine + rest * (1 + 2 * cosine * cosine)) / PI;
}

/* The leading bits of a positive number: its biased exponent and which eighth of an octave it is in. */
__device__ __forceinline__ int leading_bits(const float r) { return __float_as_int(r) >> 20; }
__device__ __forceinline__ int leading_bits(const double r) { return int(__double_as_longlong(r) >> 49); }

/* 1 + f, where the number lies at the fraction f of its eighth of an octave. */
__device__ __forceinline__ float within_eighth(const float r) {
    return __int_as_float((__float_as_int(r) & 0xFFFFF) << 3 | 127 << 23);
}
__device__ __forceinline__ double within_eighth(const double r) {
    return __longlong_as_double((__double_as_longlong(r) & 0x1FFFFFFFFFFFFLL) << 3 | 1023LL << 52);
}

/* The Matern function of any nu from its table, whose layout gpu/matern.py tells. */
template <typename P>
__device__ __forceinline__ P matern(const P r, const P* __restrict__ table) {
    constexpr int COEFFICIENTS = 10, HEADER = 2;
    const int segment = leading_bits(r) - leading_bits(P(1)) - int(table[0]);
    if (r == P(0) || segment < 0) return P(1);
    if (segment >= int(table[1])) return P(0);
    const P x = 2 * within_eighth(r) - 3;
    const P* coefficients = table + HEADER + COEFFICIENTS * segment;
    P log_k = coefficients[COEFFICIENTS - 1];
    for (int i = COEFFICIENTS - 2; i >= 0; i--) log_k = log_k * x + coefficients[i];
    return exp(min(log_k, P(0)));
}

/* f(b) with the leaf's parameters. */
template <typename P, Function F>
__device__ __forceinline__ P apply(const P b, const P a, const P c, const P* __restrict__ table) {
    if constexpr (F == Function::AFFINE) return a * b + c;
    if constexpr (F == Function::EXP) return exp(-a * b);
    if constexpr (F == Function::EXP_ROOT) return exp(-sqrt(a * b));
    if constexpr (F == Function::MATERN32) {
        const P r = sqrt(a * b);
        return (1 + r) * exp(-r);
    }
    if constexpr (F == Function::MATERN52) {
        const P r = sqrt(a * b);
        return (1 + r + r * r / 3) * exp(-r);
    }
    if constexpr (F == Function::MATERN_TABLE) return matern(sqrt(a * b), table);
    if constexpr (F == Function::RATIONAL_QUADRATIC) return exp(-a * log1p(b / (2 * a)));
    if constexpr (F == Function::POLYNOMIAL) return integer_power(b + c, int(a));
    if constexpr (F == Function::TANH) return tanh(b + c);
    if constexpr (F == Function::ARC_COSINE_0) return arc_cosine<P, 0>(b);
    if constexpr (F == Function::ARC_COSINE_1) return arc_cosine<P, 1>(b);
    if constexpr (F == Function::ARC_COSINE_2) return arc_cosine<P, 2>(b);
}
