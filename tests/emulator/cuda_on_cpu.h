/* CUDA on a CPU: enough of the language to run a .cu file's kernels in tests, and to catch what a GPU would not tell.

   Every CUDA thread of a block is a fiber with its own stack; one OS thread runs them in turn, block after block.
   A fiber runs until it waits (at a block barrier or in a warp collective) or returns. Then
     - a warp collective completes when all lanes of its mask have arrived at the same place with the same mask;
     - a block barrier opens when all threads of the block wait at the same place; it is a fault when they wait at
       different places or when some have returned.
   The test chooses the order in which threads run between barriers: what a kernel computes must not depend on it.
   Shared memory is filled with 0xFF (NaN, -1) before each block and ends at a page that faults when it is touched, as
   global arrays do (arena.py). Undefined behaviour (index, overflow, misalignment) faults through the handlers at the
   end, which the compiler calls, so that no runtime library is needed; nor is the C++ standard library.

   Not here: inline PTX, cp.async, wgmma, textures, grid-wide synchronisation, the rounding of GPU intrinsics. */
#pragma once
#include "fibers.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define SHARED(type, name) type& name = emulator::shared<type, __LINE__>(HERE)

namespace emulator {

static void barrier(Place place) {
    self->state = AT_BARRIER;
    self->place = place;
    leave();
}

static int lane() { return (int)(self - fibers) % WARP; }
static int lane_below(int lanes) { return lane() + lanes < WARP ? lane() + lanes : lane(); }

/* Offers a value and waits until all lanes of the mask have; returns lane 0, from which their values can be read. */
[[maybe_unused]] static Fiber* collect(unsigned mask, unsigned long long value, Place place) {
    if (!(mask >> lane() & 1)) fault(place, "lane %d is not in its own mask %08x", lane(), mask);
    self->state = IN_COLLECTIVE;
    self->place = place;
    self->mask = mask;
    self->offered = value;
    leave();
    return self - lane();
}

template <typename T> static T shuffle(unsigned mask, T value, int source, Place place) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof(T));
    Fiber* warp = collect(mask, bits, place);
    if (!(mask >> source & 1)) fault(place, "shuffle from lane %d outside the mask %08x", source, mask);
    memcpy(&value, &warp[source].given, sizeof(T));
    return value;
}

/* The block's shared variable declared at this line. */
template <typename T, int line> static T& shared(Place place) {
    constexpr size_t reserved = (sizeof(T) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    static char* memory = pages(reserved + PAGE_BYTES);
    static unsigned long long poisoned_for = 0;
    char* at = memory + reserved - sizeof(T);
    if (poisoned_for != blocks_run) {
        mprotect(memory + reserved, PAGE_BYTES, PROT_NONE);
        memset(at, 0xFF, sizeof(T));
        poisoned_for = blocks_run;
        shared_bytes += sizeof(T);
        if (shared_bytes > SHARED_BYTES) fault(place, "%zu bytes of shared memory, 48 KiB at most", shared_bytes);
    }
    return *(T*)at;
}

// --- a kernel as Python sees it: a signature to check arguments against, and a call with an array of pointers -------

template <typename T> struct Type { static const char* name() { return "struct"; } };
template <typename T> struct Type<const T> : Type<T> {};
template <typename T> struct Type<T*> {
    static const char* name() {
        static char text[64];
        snprintf(text, sizeof text, "%s*", Type<T>::name());
        return text;
    }
};
#define EMULATOR_TYPE(type) template <> struct Type<type> { static const char* name() { return #type; } };
EMULATOR_TYPE(unsigned char) EMULATOR_TYPE(int) EMULATOR_TYPE(long long) EMULATOR_TYPE(unsigned long long)
EMULATOR_TYPE(float) EMULATOR_TYPE(double)

template <typename T, T... I> struct Indices {};

template <auto k> struct Kernel;
template <typename... A, void (*k)(A...)> struct Kernel<k> {
    static const char* signature() {  // such as "unsigned char*, long long, float*"
        static char text[512];
        int used = 0;
        ((used += snprintf(text + used, sizeof text - used, used ? ", %s" : "%s", Type<A>::name())), ...);
        return text;
    }
    template <int... I> static void call(void** argv, Indices<int, I...>) { k(*(A*)argv[I]...); }
    static void invoke(void** argv) { call(argv, __make_integer_seq<Indices, int, sizeof...(A)>{}); }
};

}  // namespace emulator

#define threadIdx (emulator::self->thread)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)
#define __syncthreads() emulator::barrier(HERE)
#define __syncwarp(mask) emulator::collect(mask, 0, HERE)
#define __shfl_sync(mask, value, source) emulator::shuffle(mask, value, (source) % 32, HERE)
#define __shfl_xor_sync(mask, value, bits) emulator::shuffle(mask, value, emulator::lane() ^ (bits), HERE)
#define __shfl_down_sync(mask, value, lanes) emulator::shuffle(mask, value, emulator::lane_below(lanes), HERE)

template <typename To, typename From> static To bit_cast(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To out;
    memcpy(&out, &value, sizeof out);
    return out;
}
#define __float_as_int bit_cast<int, float>
#define __int_as_float bit_cast<float, int>
#define __double_as_longlong bit_cast<long long, double>
#define __longlong_as_double bit_cast<double, long long>

/* CUDA overloads the mathematical functions for both precisions; here they are libm's. */
#define EMULATOR_MATH(name)                                                                                            \
    extern "C" double name(double);                                                                                    \
    extern "C" float name##f(float);                                                                                   \
    [[maybe_unused]] static inline float name(float x) { return name##f(x); }
EMULATOR_MATH(exp) EMULATOR_MATH(log1p) EMULATOR_MATH(sqrt) EMULATOR_MATH(sin) EMULATOR_MATH(asin) EMULATOR_MATH(tanh)
EMULATOR_MATH(fabs)
extern "C" double pow(double, double);
template <typename T> static inline T min(T a, T b) { return b < a ? b : a; }
template <typename T> static inline T max(T a, T b) { return a < b ? b : a; }

// --- undefined behaviour: what the compiler calls, with the place in the source --------------------------------------

#define EMULATOR_UNDEFINED(name, what)                                                                                 \
    extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_##name(const emulator::Place* place) {        \
        emulator::fault(*place, "%s", what);                                                                           \
    }
EMULATOR_UNDEFINED(out_of_bounds, "index out of the array's bounds")
EMULATOR_UNDEFINED(add_overflow, "integer overflow")
EMULATOR_UNDEFINED(sub_overflow, "integer overflow")
EMULATOR_UNDEFINED(mul_overflow, "integer overflow")
EMULATOR_UNDEFINED(negate_overflow, "integer overflow")
EMULATOR_UNDEFINED(divrem_overflow, "integer division by zero or overflow")
EMULATOR_UNDEFINED(shift_out_of_bounds, "shift by too many bits")
EMULATOR_UNDEFINED(type_mismatch_v1, "null or misaligned pointer")
EMULATOR_UNDEFINED(nonnull_arg, "null pointer where none may be")
EMULATOR_UNDEFINED(pointer_overflow, "pointer overflow")
EMULATOR_UNDEFINED(float_cast_overflow, "float outside of the integer's range")
EMULATOR_UNDEFINED(load_invalid_value, "value outside of its type's range")
EMULATOR_UNDEFINED(builtin_unreachable, "unreachable code was reached")
EMULATOR_UNDEFINED(missing_return, "end of a function without a value")
