"""Exact sums: one vector however records are cut and ordered, and a bound that no record can break."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from gpu.cpu import features as compiled
from gpu.device import Device
from gpu.private import pipeline
from gpu.private.fourier import FourierSums
from gpu.private.landmarks import LandmarkSums
from gpu.private.pipeline import exact_sums
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.grid import clean
from mercer.privacy.sensitivity import Blocks, Pairs
from tests.gpu.private.boxes import Box, cube
from tests.gpu.private.test_fourier import exact

CPU = Device("cpu")
BOX = Box((-1.0, 0.0, 10.0), (1.0, 5.0, 11.0))
HOSTILE = [np.nan, np.inf, -np.inf, 1e308, -1e308, -0.0, 5e-324, -5e-324, 2.0**-1060, 1.0, 10.5, -1.0, 11.0]


def fourier(m=70, bits=20):
    return FourierSums(FourierFeatures.draw("gaussian", 0.7, BOX, m, 5), Blocks(m, 2, bits))


def landmarks(count=23, bits=24, spectrum="gaussian"):
    return LandmarkSums(BOX, spectrum, 0.7, points(count, 6), bits)


def points(n, seed):
    low, high = np.array(BOX)
    return low + (high - low) * np.random.default_rng(seed).random((n, 3))


FEATURES = {"fourier": fourier(), "landmarks": landmarks()}


@pytest.fixture(params=FEATURES)
def features(request):
    return FEATURES[request.param]


def one_record(features, record):
    sums = np.zeros(features.blocks.size, np.int64)
    features.add(clean(features.bounds, np.array([record])), sums)
    return [int(one) for one in sums]


def pairs(features, integers):
    """The integers of each block."""
    blocks = features.blocks
    return np.array(integers, object).reshape(blocks.width, blocks.count).T


def test_a_thousand_orders_and_shardings_give_one_vector(features):
    records = points(40, 1)
    records[5], records[9] = np.nan, 1e300
    expected = exact_sums(features, records, CPU)
    random = np.random.default_rng(2)
    for _ in range(1000):
        shuffled = random.permutation(records)
        cuts = [0, *sorted(random.integers(0, len(records), random.integers(0, 5)).tolist()), len(records)]
        shards = [np.zeros(features.blocks.size, np.int64) for _ in cuts[1:]]
        for shard, (first, last) in zip(shards, pairwise(cuts), strict=True):
            features.add(clean(features.bounds, shuffled[first:last]), shard)
        assert np.array_equal(sum(shards), expected)


@pytest.mark.parametrize("chunk", [1, 7, 64, 5000])
def test_chunks_and_threads_do_not_show(features, chunk, monkeypatch):
    records = points(300, 3)
    expected = exact_sums(features, records, CPU)
    monkeypatch.setattr(pipeline, "CHUNK", chunk)
    monkeypatch.setattr(Device, "n_threads", 3)
    assert np.array_equal(exact_sums(features, records, Device("cpu")), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_records_of_any_dtype_are_the_numbers_they_hold(features, dtype):
    records = (points(40, 4) * 3).astype(dtype)
    assert np.array_equal(exact_sums(features, records, CPU), exact_sums(features, records.astype(float), CPU))


def test_progress_is_told_and_cancellation_passes(features, monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK", 2)
    told = []
    exact_sums(features, points(150, 5), CPU, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(InterruptedError):
        exact_sums(features, points(150, 5), CPU, lambda fraction: (_ for _ in ()).throw(InterruptedError))


def test_no_records_have_the_sum_0(features):
    assert not exact_sums(features, np.empty((0, 3)), CPU).any()


hostile = st.one_of(st.sampled_from(HOSTILE), st.floats(), st.floats(-2, 12))


@settings(max_examples=150, deadline=None)
@given(record=st.tuples(hostile, hostile, hostile))
def test_no_record_exceeds_the_declared_bounds(record):
    for features in FEATURES.values():
        integers, blocks = one_record(features, record), features.blocks
        assert sum(one * one for one in integers) <= blocks.l2_squared("add_or_remove_one")
        assert sum(abs(one) for one in integers) <= blocks.l1("add_or_remove_one")
        assert all(sum(block**2) <= 4**blocks.bits for block in pairs(features, integers))


@settings(max_examples=100, deadline=None)
@given(one=st.tuples(hostile, hostile, hostile), other=st.tuples(hostile, hostile, hostile))
def test_no_change_of_a_record_exceeds_the_declared_bounds(one, other):
    for features in FEATURES.values():
        moved = np.subtract(one_record(features, one), one_record(features, other), dtype=object)
        assert sum(moved**2) <= features.blocks.l2_squared("change_one")
        assert sum(abs(moved)) <= features.blocks.l1("change_one")


@settings(max_examples=300, deadline=None)
@given(
    features=arrays(
        float,
        st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 6)),
        elements=st.one_of(hostile, st.floats(-1, 1), st.sampled_from([1.0, -1.0, 1 - 2**-53])),
    ),
    bits=st.integers(1, 24),
)
def test_whatever_the_features_are_blocks_keep_their_bound(features, bits):
    sums = np.zeros(features.shape[1:], np.int64)
    compiled.blocks(features, bits, sums)
    for block, given_block in zip(sums.tolist(), features[0].tolist(), strict=True):
        squares = sum(one * one for one in block)
        assert squares <= 4**bits
        if all(abs(one) <= 1 for one in given_block):
            truncated = [math.trunc(one * 2**bits) for one in given_block]
            if sum(one * one for one in truncated) <= 4**bits:
                assert block == truncated
            else:  # by one factor, and truncated: little is lost
                assert math.sqrt(squares) > 2**bits - len(block) - 1


@settings(max_examples=300, deadline=None)
@given(cosine=st.one_of(hostile, st.floats(-1, 1)), sine=st.one_of(hostile, st.floats(-1, 1)), bits=st.integers(1, 24))
def test_whatever_sines_are_pairs_keep_their_bound(cosine, sine, bits):
    c, s = compiled.pair(cosine, sine, 2.0**bits)
    assert c**2 + s**2 <= 4**bits
    assert (c, s) == (int(c), int(s))
    if math.hypot(cosine, sine) <= 1:
        assert (c, s) == (math.trunc(cosine * 2**bits), math.trunc(sine * 2**bits))


def test_the_widest_blocks_do_not_overflow():
    blocks = Blocks(1, 2**13, 24)
    sums = np.zeros((1, blocks.width), np.int64)
    compiled.blocks(np.ones((1, 1, blocks.width)), blocks.bits, sums)
    assert sum(one * one for one in sums.ravel().tolist()) <= 4**24
    assert sums.min() > 0.98 * 2**24 / math.sqrt(blocks.width)


def test_a_record_that_is_no_number_counts_as_the_boxs_corner(features):
    corner = one_record(features, BOX.low)
    for bad in (np.nan, np.inf, -np.inf):
        for j in range(3):
            record = [0.5, 2.0, 10.5]
            record[j] = bad
            assert one_record(features, record) == corner


def test_a_record_out_of_the_box_counts_as_its_nearest_point(features):
    assert one_record(features, (7.0, -3.0, 10.5)) == one_record(features, (1.0, 0.0, 10.5))
    assert one_record(features, (1e308, -1e308, 10.5)) == one_record(features, (1.0, 0.0, 10.5))


@pytest.mark.parametrize("neighbours", ["add_or_remove_one", "change_one"])
def test_the_worst_pairs_come_within_rounding_of_the_l2_bound(neighbours):
    box, bits = cube(1), 20
    turns = np.full((1, 3), 2**11, np.uint32)
    features = FourierSums(FourierFeatures(box, turns), Blocks(3, 2, bits))
    first, last = (np.array(one_record(features, [x]), object) for x in (0.0, 1.0))
    moved = first if neighbours == "add_or_remove_one" else first - last
    assert sum(moved**2) == features.blocks.l2_squared(neighbours)


@pytest.mark.parametrize(("width", "bits"), [(1, 20), (2, 16), (3, 7), (500, 24)])
def test_the_l1_bound_is_the_largest_integer_that_is_none_too_large(width, bits):
    one = Blocks(1, width, bits).l1("add_or_remove_one")
    assert one**2 <= width * 4**bits < (one + 1) ** 2
    assert Blocks(7, width, bits).l1("change_one") == 14 * one


@pytest.mark.parametrize("norms", [(1,), (2**24, 1, 3), (70, 99, 2**20 - 1)])
def test_pairs_of_several_norms_are_bounded_one_by_one(norms):
    pairs = Pairs(norms)
    assert pairs.l2_squared("change_one") == 4 * sum(norm**2 for norm in norms)
    each = [Pairs((norm,)).l1("add_or_remove_one") for norm in norms]
    assert all(one**2 <= 2 * norm**2 < (one + 1) ** 2 for one, norm in zip(each, norms, strict=True))
    assert pairs.l1("change_one") == 2 * sum(each)
    assert pairs.max_records * max(norms) < 2**62


@pytest.mark.parametrize("norms", [(), (0, 1), (2**24 + 1,), (-1,)])
def test_norms_that_pairs_cannot_have_are_refused(norms):
    with pytest.raises(ValueError, match="Expected"):
        Pairs(norms)


def test_relations_that_are_none_are_refused():
    with pytest.raises(KeyError):
        Blocks(1, 2, 20).l1("none")


@pytest.mark.parametrize(("count", "width", "bits"), [(0, 2, 20), (1, 0, 20), (1, 2, 0), (1, 2, 25), (1, 2**14, 24)])
def test_blocks_whose_squares_could_overflow_are_refused(count, width, bits):
    with pytest.raises(ValueError, match="Expected"):
        Blocks(count, width, bits)


def test_more_records_than_the_sums_have_room_for_are_refused(features):
    class Many:
        def __len__(self):
            return 2 ** (62 - features.blocks.bits)

    with pytest.raises(ValueError, match="at most"):
        exact_sums(features, Many(), CPU)
    assert features.blocks.max_records * 2**features.blocks.bits < 2**62


@pytest.mark.parametrize(
    "spectrum", ["gaussian", "exponential", "laplacian_l1", "rational_l2_squared", "rational_l2", "rational_l1"]
)
def test_landmarks_reproduce_the_kernel_function_at_themselves(spectrum):
    features = landmarks(60, spectrum=spectrum)
    y = points(40, 8)
    approximate = features.values(features.landmarks) @ features.values(y).T
    assert np.abs(approximate - exact(spectrum, features.landmarks / 0.7, y / 0.7)).max() < 1e-3


def test_more_landmarks_approximate_better_and_no_norm_exceeds_1():
    x = points(100, 9)
    k = exact("gaussian", x / 0.7, x / 0.7)
    errors = []
    for count in (20, 80, 320):
        phi = landmarks(count).values(x)
        assert (phi**2).sum(axis=1).max() < 1 + 1e-9
        errors.append(np.sqrt(np.mean((phi @ phi.T - k) ** 2)))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_a_landmarks_features_are_those_of_linear_algebra():
    features, y = landmarks(37), points(65, 10)
    k = np.exp(-(cdist(features.landmarks, features.landmarks) ** 2) / 0.98) + 37e-9 * np.eye(37)
    right = np.exp(-(cdist(features.landmarks, y) ** 2) / 0.98)
    phi = features.values(y)
    assert np.allclose(phi @ phi.T, right.T @ np.linalg.solve(k, right), atol=1e-7)
    assert all(np.array_equal(features.values(y[i : i + 1])[0], phi[i]) for i in range(0, 65, 9))
