/* Threads of a CUDA block as fibers: see cuda_on_cpu.h for what they promise. Here: the switch from one to another, the
   order in which they run, when a barrier opens, and how a fault ends the launch. */
#pragma once
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct uint3 { unsigned x, y, z; };

namespace emulator {

constexpr int WARP = 32, MAX_THREADS = 1024;
constexpr size_t STACK_BYTES = 256 << 10, PAGE_BYTES = 64 << 10, SHARED_BYTES = 48 << 10;

struct Place { const char* file; unsigned line, column; };
#define HERE emulator::Place{__FILE__, __LINE__, 0}
static bool same_place(Place a, Place b) { return a.line == b.line && !strcmp(a.file, b.file); }

enum State { READY, AT_BARRIER, IN_COLLECTIVE, DONE };
enum Order { FORWARD, REVERSE, RANDOM, GREEDY };

struct Fiber {
    void* stack_pointer;
    State state;
    uint3 thread;
    Place place;                              // where it waits
    unsigned mask;                            // of the collective it waits in
    unsigned long long offered, given;        // to that collective; to the last one that completed
};

struct Launch {                               // as in emulated.py
    uint3 grid, block;
    int order;
    unsigned long long seed;
    char** stacks;                            // of all the process's kernels; null until the first of them makes them
};

static Fiber fibers[MAX_THREADS], *self;      // self: the one that runs, or is being looked at
static int n_threads;
static uint3 block_index, block_size, grid_size;
static unsigned long long blocks_run, random_state;
static size_t shared_bytes;                   // of this block so far
static void* scheduler;                       // its stack pointer while a fiber runs
static bool in_fiber;
static char message[512];                     // the first fault; empty while all is well
static void (*kernel)(void**);
static void** arguments;
static char* stacks;

// --- fibers ----------------------------------------------------------------------------------------------------------

/* Saves the callee-saved registers on the stack and the stack pointer in *from, and goes on where `to` was saved. */
extern "C" __attribute__((visibility("hidden"))) void emulator_switch(void** from, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.hidden emulator_switch
emulator_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");
constexpr int SAVED_WORDS = 8, RETURN_WORD = 6;  // six registers, the return address, one to keep the stack aligned
#elif defined(__aarch64__)
asm(R"(
.text
.hidden emulator_switch
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]; stp x21, x22, [sp, 16]; stp x23, x24, [sp, 32]; stp x25, x26, [sp, 48]
    stp x27, x28, [sp, 64]; stp x29, x30, [sp, 80]
    stp d8, d9, [sp, 96]; stp d10, d11, [sp, 112]; stp d12, d13, [sp, 128]; stp d14, d15, [sp, 144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]; ldp x21, x22, [sp, 16]; ldp x23, x24, [sp, 32]; ldp x25, x26, [sp, 48]
    ldp x27, x28, [sp, 64]; ldp x29, x30, [sp, 80]
    ldp d8, d9, [sp, 96]; ldp d10, d11, [sp, 112]; ldp d12, d13, [sp, 128]; ldp d14, d15, [sp, 144]
    add sp, sp, #160
    ret
)");
constexpr int SAVED_WORDS = 20, RETURN_WORD = 11;
#else
#error "fibers are written for x86-64 and aarch64"
#endif

static void leave() { emulator_switch(&self->stack_pointer, scheduler); }

/* Keeps the first message, with the thread and the place. The block is given up: a fiber never returns from here. */
template <typename... Values> static void fault(Place place, const char* format, Values... values) {
    const uint3 b = block_index, t = self->thread;
    if (!message[0]) {
        int used = snprintf(message, sizeof message, "block (%u, %u, %u), thread (%u, %u, %u), %s:%u: ", b.x, b.y, b.z,
                            t.x, t.y, t.z, place.file, place.line);
        snprintf(message + used, sizeof message - used, format, values...);
    }
    if (in_fiber) leave();
}

static void fiber_main() {
    kernel(arguments);
    self->state = DONE;
    leave();
}

static char* pages(size_t bytes) {
    return (char*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* One stack for each thread of a block, above a page that may not be touched. The guards split the mapping in two
   thousand, of which Linux allows a process 65,530: hence one set, not one for each kernel's library. */
static char* guarded_stacks() {
    char* made = pages(MAX_THREADS * STACK_BYTES);
    for (int t = 0; t < MAX_THREADS; t++) mprotect(made + t * STACK_BYTES, PAGE_BYTES, PROT_NONE);
    return made;
}

static void start(int thread) {
    void** top = (void**)(stacks + (thread + 1) * STACK_BYTES) - SAVED_WORDS;
    memset(top, 0, SAVED_WORDS * sizeof(void*));
    top[RETURN_WORD] = (void*)fiber_main;
    const unsigned t = thread;
    const uint3 index = {t % block_size.x, t / block_size.x % block_size.y, t / block_size.x / block_size.y};
    fibers[thread] = {top, READY, index, {}, 0, 0, 0};
}

// --- the scheduler ---------------------------------------------------------------------------------------------------

static int random_below(int n) {
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (int)((random_state >> 33) % n);
}

static void shuffle_order(int* order, int n) {
    for (int i = n - 1; i > 0; i--) {
        const int j = random_below(i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* Runs those of these threads that are ready until each waits; false when none was. */
static bool run_ready(const int* threads, int n) {
    bool any = false;
    for (int i = 0; i < n && !message[0]; i++) {
        self = &fibers[threads[i]];
        if (self->state != READY) continue;
        in_fiber = true;
        emulator_switch(&scheduler, self->stack_pointer);
        in_fiber = false;
        any = true;
    }
    return any;
}

/* Lets all lanes go on whose whole mask has arrived. Every lane reads what it is given before this is called again. */
static void complete_collectives() {
    for (int t = 0; t < n_threads; t++) {
        if (fibers[t].state != IN_COLLECTIVE) continue;
        self = &fibers[t];
        Fiber* warp = &fibers[t / WARP * WARP];
        const Fiber first = *self;
        bool complete = true;
        for (int l = 0; l < WARP; l++) {
            if (!(first.mask >> l & 1)) continue;
            if (t / WARP * WARP + l >= n_threads || warp[l].state == DONE)
                return fault(first.place, "lane %d of the mask %08x has exited", l, first.mask);
            const bool together = same_place(warp[l].place, first.place) && warp[l].mask == first.mask;
            complete &= warp[l].state == IN_COLLECTIVE && together;
        }
        for (int l = 0; complete && l < WARP; l++) {
            if (!(first.mask >> l & 1)) continue;
            warp[l].state = READY;
            warp[l].given = warp[l].offered;
        }
    }
}

/* Lets all threads go on when they wait at one barrier; false when the block has ended, by return or by a fault. */
static bool open_barrier() {
    int done = 0, first = -1;
    for (int t = 0; t < n_threads && !message[0]; t++) {
        self = &fibers[t];
        done += self->state == DONE;
        if (self->state == IN_COLLECTIVE) fault(self->place, "deadlock: waits for lanes of the mask %08x", self->mask);
        if (self->state != AT_BARRIER) continue;
        if (first < 0) first = t;
        const Place there = fibers[first].place;
        if (!same_place(self->place, there))
            fault(self->place, "divergent barrier: other threads wait at %s:%u", there.file, there.line);
    }
    if (message[0] || first < 0) return false;
    self = &fibers[first];
    if (done) return fault(self->place, "divergent barrier: %d threads have exited", done), false;
    for (int t = 0; t < n_threads; t++) fibers[t].state = READY;
    return true;
}

static void run_block(int order) {
    static int threads[MAX_THREADS];
    for (int t = 0; t < n_threads; t++) {
        start(t);
        threads[t] = order == REVERSE ? n_threads - 1 - t : t;
    }
    blocks_run++;
    shared_bytes = 0;
    const int group = order == GREEDY ? WARP : n_threads;  // greedy: one warp runs ahead until the block barrier
    const int n_groups = (n_threads + group - 1) / group;
    do {
        if (order == RANDOM) shuffle_order(threads, n_threads);
        const int first = random_below(n_groups);
        for (int g = 0; g < n_groups; g++) {
            const int at = (first + g) % n_groups * group;
            while (run_ready(threads + at, n_threads - at < group ? n_threads - at : group)) complete_collectives();
        }
    } while (open_barrier());
}

static void on_bad_access(int number, siginfo_t* info, void*) {
    if (!in_fiber) signal(number, SIG_DFL);  // a defect of the emulator itself
    fault({"the kernel", 0, 0}, "access out of bounds at %p", info->si_addr);
}

/* Runs the grid; returns the fault's message, or an empty one. */
static const char* run(const Launch& launch, void (*entry)(void**), void** argv) {
    static char signal_stack[64 << 10];
    stack_t kept_stack, own_stack = {};
    own_stack.ss_sp = signal_stack;
    own_stack.ss_size = sizeof signal_stack;
    struct sigaction kept[2], action = {};
    action.sa_sigaction = on_bad_access;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaltstack(&own_stack, &kept_stack);
    sigaction(SIGSEGV, &action, &kept[0]);
    sigaction(SIGBUS, &action, &kept[1]);
    message[0] = 0;
    kernel = entry;
    arguments = argv;
    if (!*launch.stacks) *launch.stacks = guarded_stacks();
    stacks = *launch.stacks;
    grid_size = launch.grid;
    block_size = launch.block;
    n_threads = (int)(block_size.x * block_size.y * block_size.z);
    random_state = launch.seed;
    const unsigned n_blocks = grid_size.x * grid_size.y * grid_size.z;
    for (unsigned i = 0; i < n_blocks && !message[0]; i++) {
        const unsigned b = launch.order == REVERSE ? n_blocks - 1 - i : i;
        block_index = {b % grid_size.x, b / grid_size.x % grid_size.y, b / grid_size.x / grid_size.y};
        run_block(launch.order);
    }
    sigaction(SIGSEGV, &kept[0], nullptr);
    sigaction(SIGBUS, &kept[1], nullptr);
    sigaltstack(&kept_stack, nullptr);
    return message;
}

}  // namespace emulator
