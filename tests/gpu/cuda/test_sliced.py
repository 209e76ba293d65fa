"""The kernels of sliced Wasserstein costs, executed: by the emulator everywhere, and by a device where there is one."""

import numpy as np
import pytest

from gpu.cuda import sliced, sliced_large
from gpu.cuda.backend import CudaDevice
from gpu.cuda.sliced_large import PART, Plan
from gpu.cuda.sliced_packing import MAX_ATOMS, WHOLE, Mass, masses
from gpu.device import Device
from gpu.sliced import slices
from gpu.sliced.measures import Measure, pair
from tests.emulator.emulated import ORDERS, EmulatedDevice
from tests.gpu.cuda.nvrtc import GROUPS
from tests.gpu.sliced import exact

DEVICES = {"emulated": EmulatedDevice, "cuda": CudaDevice}
DOUBLE, SINGLE = np.dtype("float64"), np.dtype("float32")
TOLERANCE = {DOUBLE: 1e-12, SINGLE: 1e-6}
"""Relative, of each slice."""
POWERS = (1, 1.5, 2, 3)
SIZES = ((1, 1), (1, 3), (31, 33), (64, 64), (100, 65), (200, 129), (40, 300))
"""Of every number of atoms to a thread, and of a team of several warps."""
FORMS = ("uniform", "one weighted", "weighted")


def large(requests, backend):
    """By the kernels for large measures, however small they are."""
    found = sliced_large.costs(requests, lambda share: None, backend)
    return [sliced.in_units(*request, out) for request, out in zip(requests, found, strict=True)]


def small(requests, backend):
    return sliced.costs(requests, backend=backend)


WAYS = {"small": small, "large": large}
both_ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
both_dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    return DEVICES[request.param]()


def cloud(n, d, seed):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) + seed


def weights(n, seed):
    """Some are zero."""
    random = np.random.default_rng([seed, n])
    drawn = random.uniform(0.1, 1, n) * (random.uniform(size=n) < 0.8)
    drawn[0] = 1
    return drawn / drawn.sum()


def directions(count, d):
    drawn = np.random.default_rng([0, d]).normal(size=(count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def measures(n, m, form="uniform", d=3):
    return (
        Measure(cloud(n, d, 1), weights(n, 3) if form != "uniform" else None),
        Measure(cloud(m, d, 2), weights(m, 4) if form == "weighted" else None),
    )


def request(n, m, form="uniform", p=2, dtype=DOUBLE, d=3, count=3):
    return slices.Slices(pair(*measures(n, m, form, d), p, dtype), directions(count, d))


def truth(x, y, thetas, p):
    return exact.costs(x.points, y.points, thetas, p, x.weights, y.weights)


@both_ways
@both_dtypes
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", POWERS)
def test_a_slice_is_the_exact_merge(p, form, dtype, way, device):
    given = [measures(n, m, form) for n, m in SIZES]
    thetas = directions(2, 3)
    found = way([slices.Slices(pair(x, y, p, dtype), thetas) for x, y in given], device)
    for (x, y), got in zip(given, found, strict=True):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, truth(x, y, thetas, p), rtol=TOLERANCE[dtype])


@both_dtypes
@pytest.mark.parametrize(("n", "m"), [(700, 600), (4096, 4096)])
@pytest.mark.parametrize("form", ["uniform", "weighted"])
def test_the_largest_blocks_give_the_exact_merge(form, n, m, dtype, device):
    (x, y), thetas = measures(n, m, form, 2), directions(1, 2)
    (got,) = small([slices.Slices(pair(x, y, 2, dtype), thetas)], device)
    np.testing.assert_allclose(got, truth(x, y, thetas, 2), rtol=TOLERANCE[dtype])


@both_dtypes
@pytest.mark.parametrize("form", FORMS)
def test_measures_beyond_a_block_give_what_the_cpu_gives(form, dtype, device):
    """In several parts, which the host adds."""
    n, m = PART + 700, MAX_ATOMS + 1
    given = request(n, m, form, 1.5, dtype, count=2)
    (got,) = sliced.costs([given], backend=device)
    (expected,) = slices.costs([given], Device("cpu"))
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE[dtype])


@both_ways
@both_dtypes
@pytest.mark.parametrize("d", [1, 2, 31, 32, 33, 100])
def test_any_number_of_dimensions(d, dtype, way, device):
    (x, y), thetas = measures(9, 7, d=d), directions(70, d)
    (got,) = way([slices.Slices(pair(x, y, 2, dtype), thetas)], device)
    np.testing.assert_allclose(got[::23], truth(x, y, thetas[::23], 2), rtol=TOLERANCE[dtype])


@both_ways
@both_dtypes
@pytest.mark.parametrize("d", [64, 256, 784])
def test_the_worst_of_many_slices_is_exact_in_many_dimensions(d, dtype, way, device):
    """Of measures that differ by chance alone: costs are small differences, in which the rounding of sums shows."""
    random, thetas = np.random.default_rng(d), directions(300, d)
    x, y = np.round(random.normal(size=(2, 32, d)) * 2**20) / 2**20  # so that the offset rounds nothing
    expected = ((np.sort(thetas @ x.T) - np.sort(thetas @ y.T)) ** 2).mean(axis=1)
    (got,) = way([slices.Slices(pair(Measure(x + 1e8), Measure(y + 1e8), 2, dtype), thetas)], device)
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE[dtype])


@both_ways
@both_dtypes
@pytest.mark.parametrize("form", FORMS)
def test_ties_cost_what_they_do_in_any_order(form, dtype, way, device):
    """Points on a coarse grid: most are there several times, and projections on an axis are equal."""
    x, y = (Measure(np.round(2 * measure.points), measure.weights) for measure in measures(90, 70, form))
    thetas = np.vstack([np.eye(3), directions(2, 3)])
    (got,) = way([slices.Slices(pair(x, y, 2, dtype), thetas)], device)
    np.testing.assert_allclose(got, truth(x, y, thetas, 2), rtol=TOLERANCE[dtype])


@both_ways
@both_dtypes
@pytest.mark.parametrize("p", POWERS)
def test_equal_measures_cost_nothing(p, dtype, way, device):
    points, thetas = cloud(150, 3, 1), directions(9, 3)
    kinds = [Measure(points), Measure(points, weights(150, 1))]
    for got in way([slices.Slices(pair(kind, kind, p, dtype), thetas) for kind in kinds], device):
        assert not got.any()


@both_ways
@both_dtypes
@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_points_of_any_scale_far_from_the_origin(scale, dtype, way, device):
    (x, y), thetas = measures(30, 22), directions(3, 3)
    near = exact.costs(x.points + 1e8, y.points + 1e8, thetas)
    far = [Measure((measure.points + 1e8) * scale) for measure in (x, y)]
    (got,) = way([slices.Slices(pair(*far, 2, dtype), thetas)], device)
    np.testing.assert_allclose(got, near * scale**2, rtol=max(TOLERANCE[dtype], 1e-7))


def mixed():
    """Of both dtypes, several powers and forms, and many sizes."""
    return [
        request(n, m, FORMS[i % 3], POWERS[i % 4], (DOUBLE, SINGLE)[i % 5 > 2], (3, 1, 40, 2)[i % 4], (9, 1, 17)[i % 3])
        for i, (n, m) in enumerate([*SIZES, *SIZES[::-1]])
    ]


@both_ways
def test_no_answer_depends_on_the_requests_beside_it(way, device):
    requests = mixed()
    for given, got in zip(requests, way(requests, device), strict=True):
        np.testing.assert_array_equal(got, way([given], device)[0], strict=True)


@both_ways
@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_threads_changes_nothing(order, way):
    requests = [request(300, 300), request(300, 200), request(300, 200, "weighted", dtype=SINGLE)]
    expected = way(requests, EmulatedDevice())
    for got, wanted in zip(way(requests, EmulatedDevice(order, seed=7)), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_small_requests_of_a_kind_share_a_launch():
    device = EmulatedDevice()
    alike = [request(n, m, p=p, d=d) for n, m, p, d in [(20, 31, 1, 2), (32, 9, 2, 5), (5, 5, 3, 2)]]
    sliced.costs([*alike, request(33, 5), request(20, 31, "weighted")], backend=device)
    assert len(device.launches) == 3


def test_a_launch_takes_no_more_than_the_hosts_memory_allows(monkeypatch):
    requests = [request(30, 25, d=3, count=count) for count in (5, 200, 1, 40)]
    expected = small(requests, EmulatedDevice())
    monkeypatch.setattr(sliced, "LAUNCH_BYTES", 3000)
    device, heard = EmulatedDevice(), []
    for got, wanted in zip(sliced.costs(requests, heard.append, device), expected, strict=True):
        np.testing.assert_array_equal(got, wanted, strict=True)
    assert len(device.launches) == len(heard) > 4


def test_a_worker_loads_every_instance_before_its_first_job():
    device = EmulatedDevice()
    sliced.load(device)
    compiled = {name for file, names in GROUPS.values() if file.startswith("sliced") for name in names}
    assert set(device.launches) == compiled


def test_no_requests_launch_nothing():
    device = EmulatedDevice()
    assert sliced.costs([], backend=device) == []
    assert device.launches == []


def test_progress_ends_at_one():
    heard = []
    requests = [request(20, 20), request(300, 20), request(MAX_ATOMS + 1, 5), request(20, 20, "weighted")]
    sliced.costs(requests, heard.append, EmulatedDevice())
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 3


def test_out_of_memory_halves_the_batch():
    requests = [request(30, 30, d=50) for _ in range(8)]
    device = EmulatedDevice(n_bytes=3 * 30 * 50 * 2 * 8)
    for got, given in zip(small(requests, device), requests, strict=True):
        np.testing.assert_array_equal(got, small([given], EmulatedDevice())[0])
    assert len(device.launches) == 4


def test_out_of_memory_halves_the_directions_of_a_request():
    given = request(30, 30, d=10, count=100)
    device = EmulatedDevice(n_bytes=30 * 10 * 2 * 8 + 4000)
    np.testing.assert_array_equal(small([given], device)[0], small([given], EmulatedDevice())[0])
    assert len(device.launches) == 4


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=str)
def test_little_memory_takes_the_slices_of_large_measures_by_chunks(dtype):
    given = request(500, 400, dtype=dtype, count=20)
    device = EmulatedDevice(n_bytes=300_000)
    np.testing.assert_array_equal(large([given], device)[0], large([given], EmulatedDevice())[0])
    assert sum("project" in launch for launch in device.launches) > 2


def test_less_memory_than_was_free_halves_the_chunk():
    class Optimist(EmulatedDevice):
        def free(self):
            return 2**40

    given, device = request(500, 400, count=20), Optimist(n_bytes=300_000)
    np.testing.assert_array_equal(large([given], device)[0], large([given], EmulatedDevice())[0])


@pytest.mark.parametrize(
    ("way", "n_bytes", "needed"),
    [
        (small, 500 * 3 * 8, 500 * 3 * 8),
        (large, 1000, 500 * (3 * 8 + 72)),
        (large, 500 * 3 * 8 + 100, 500 * (3 * 8 + 72)),
    ],
    ids=["small", "large, points", "large, keys"],
)
def test_too_little_memory_for_one_direction_says_how_much_is_needed(way, n_bytes, needed):
    with pytest.raises(MemoryError, match=f"expected {needed} bytes"):
        way([request(300, 200, count=2)], EmulatedDevice(n_bytes=n_bytes))


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 100_003])
@pytest.mark.parametrize("weighted", [False, True])
def test_masses_are_the_weights_and_sum_to_exactly_one(weighted, n):
    measure = Measure(np.zeros((n, 1)), weights(n, 1) if weighted else None)
    found = masses(measure)
    assert sum(found.tolist()) == WHOLE
    wanted = measure.weights if weighted else np.full(n, 1 / n)
    assert np.abs(found / WHOLE - wanted).max() <= n * 2.0**-62 + 2.0**-53
    assert (found >= 0).all()


@pytest.mark.parametrize(("n_bytes", "slices"), [(0, 1), (10**9, 166), (10**15, 1342)])
def test_as_many_slices_are_sorted_together_as_fit(n_bytes, slices):
    assert Plan(SINGLE, Mass.UNIFORM, 100_000, 100_000).slices(n_bytes) == slices


@pytest.mark.gpu
def test_the_device_gives_what_the_cpu_gives():
    requests = mixed()
    found = slices.costs(requests, Device("cuda:0"))
    for given, got, expected in zip(requests, found, slices.costs(requests, Device("cpu")), strict=True):
        np.testing.assert_allclose(got, expected, rtol=TOLERANCE[given.pair.dtype])
