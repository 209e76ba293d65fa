"""The emulator catches what it promises to catch, and lets right kernels be."""

import numpy as np
import pytest

from tests.emulator.build import library
from tests.emulator.emulated import ORDERS, EmulatedDevice, Fault

BODY = """
struct Numbers {{ int at[64]; }};
__global__ void kernel(const int* in, int* out, const long long n) {{
    SHARED(Numbers, shared);
    const int t = int(threadIdx.x), lane = t % 32;
    const bool inside = t < n;
    (void)shared, (void)inside, (void)lane, (void)in, (void)out;
    {body}
}}
"""

FAULTS = {
    "if (t < 32) __syncthreads(); else out[t] = 0;": "divergent barrier: 32 threads have exited",
    "if (t < 32) { __syncthreads(); }\nelse { __syncthreads(); }": "divergent barrier: other threads wait at",
    "if (t == 5) return; __syncwarp(~0u);": "lane 5 of the mask ffffffff has exited",
    "if (lane < 16) __syncwarp(~0u); else __syncthreads();": "deadlock: waits for lanes of the mask ffffffff",
    "if (lane == 3) __syncwarp(1u);": "lane 3 is not in its own mask 00000001",
    "if (lane < 2) out[t] = __shfl_sync(3u, t, 7);": "shuffle from lane 7 outside the mask 00000003",
    "if (t == 0) out[0] = shared.at[n];": "index out of the array's bounds",
    "if (t == 0) out[0] = *(&shared.at[0] + 16384);": "access out of bounds",
    "if (t == 0) out[n] = 1;": "argument 1, 0 bytes after its end",
    "if (t == 0) out[0] = in[-1000];": "argument 0, -4256 bytes after its end",
    "if (t == 0) out[0] = in[n];": "argument 0, 0 bytes after its end",
    "if (t == 0) out[0] = int(n) * 100000000;": "integer overflow",
    "if (t == 0) out[0] = 1 << n;": "shift by too many bits",
    "if (t == 0) out[0] = 1 / (int(n) - 64);": "division by zero",
    "if (t == 0) out[0] = int(*(const long long*)(in + 1));": "misaligned pointer",
    "if (t == 0) out[0] = int(1e10f * float(n));": "float outside of the integer's range",
}


def launch(body, device=None, n=64):
    """Runs the body on 64 threads, whose input is 0, 1, ..., and returns what they wrote."""
    device = device or EmulatedDevice()
    arrays = device.put(np.arange(64, dtype=np.int32)), device.empty(64, np.dtype(np.int32))
    device.run(library(BODY.format(body=body), "kernel"), (1, 1, 1), (64, 1, 1), (*arrays, np.int64(n)))
    return device.get(arrays[1])


@pytest.mark.parametrize(("body", "message"), FAULTS.items())
def test_a_fault_is_named(body, message):
    with pytest.raises(Fault, match=message):
        launch(body)


def test_a_fault_names_thread_and_line():
    with pytest.raises(Fault, match=r"block \(0, 0, 0\), thread \(7, 0, 0\), here.cu:3: integer overflow"):
        launch('\n#line 3 "here.cu"\nif (t == 7) out[t] = 2147483647 + t;\n')


def test_the_next_launch_is_whole_after_a_fault():
    device = EmulatedDevice()
    with pytest.raises(Fault):
        launch("if (t == 0) out[n] = 1;", device)
    np.testing.assert_array_equal(launch("out[t] = in[t];", device), np.arange(64))


@pytest.mark.parametrize("order", ORDERS)
def test_a_barrier_orders_writes_before_reads(order):
    body = "shared.at[t] = in[t]; __syncthreads(); out[t] = shared.at[63 - t];"
    np.testing.assert_array_equal(launch(body, EmulatedDevice(order)), np.arange(64)[::-1])


@pytest.mark.parametrize("order", ORDERS)
def test_a_missing_barrier_shows(order):
    body = "shared.at[t] = in[t]; out[t] = shared.at[63 - t];"
    assert (launch(body, EmulatedDevice(order)) == -1).any()


def test_a_warp_that_runs_ahead_overtakes_another():
    body = "for (int i = 0; i < 2; i++) { shared.at[t] = i; __syncwarp(~0u); out[t] = shared.at[(t + 32) % 64]; }"
    seen = {tuple(launch(body, EmulatedDevice("greedy", seed))) for seed in range(8)}
    assert len(seen) > 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("shuffle", "source"),
    [
        ("__shfl_sync(~0u, t, 5)", lambda lane: 5 + 0 * lane),
        ("__shfl_xor_sync(~0u, t, 3)", lambda lane: lane ^ 3),
        ("__shfl_down_sync(~0u, t, 4)", lambda lane: np.where(lane < 28, lane + 4, lane)),
    ],
)
def test_shuffles_move_values_between_lanes(shuffle, source, order):
    t = np.arange(64)
    np.testing.assert_array_equal(launch(f"out[t] = {shuffle};", EmulatedDevice(order)), t // 32 * 32 + source(t % 32))


def test_shared_memory_begins_every_block_poisoned():
    device = EmulatedDevice()
    arrays = device.put(np.arange(64, dtype=np.int32)), device.empty(64, np.dtype(np.int32))
    body = "out[blockIdx.x] = shared.at[0]; __syncthreads(); shared.at[0] = 1;"
    device.run(library(BODY.format(body=body), "kernel"), (3, 1, 1), (64, 1, 1), (*arrays, np.int64(64)))
    assert list(arrays[1][:3]) == [-1, -1, -1]


def test_too_much_shared_memory_is_refused():
    with pytest.raises(Fault, match="bytes of shared memory, 48 KiB at most"):
        launch("struct Much { char at[49153]; }; SHARED(Much, much); out[t] = much.at[0];")


def test_an_array_outside_of_the_device_is_refused():
    device = EmulatedDevice()
    with pytest.raises(Fault, match="argument 0 is not in the device's memory"):
        device.run(
            library(BODY.format(body=""), "kernel"),
            (1, 1, 1),
            (64, 1, 1),
            (np.zeros(64, np.int32), device.empty(64, np.dtype(np.int32)), np.int64(64)),
        )


def test_a_write_before_an_array_is_found_though_no_page_ends_there():
    with pytest.raises(Fault, match="written outside of argument 1"):
        launch("if (t == 0) out[-1] = 7;")


def test_memory_is_given_back_when_nobody_holds_it():
    device = EmulatedDevice(n_bytes=1000)
    for _ in range(3):
        device.empty(1000, np.dtype(np.uint8))
    held = device.empty(1000, np.dtype(np.uint8))
    with pytest.raises(MemoryError, match="0 bytes free"):
        device.empty(1, np.dtype(np.uint8))
    assert held.size == 1000


def test_a_warning_of_the_compiler_is_an_error():
    with pytest.raises(RuntimeError, match="unused variable"):
        launch("int unused = 3;")
