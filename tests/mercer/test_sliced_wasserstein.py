import json

import numpy as np
import pytest
from pydantic import ValidationError

from mercer.arrays import ArrayInfo
from mercer.errors import InvalidSpec
from mercer.estimates import SlicedWassersteinEstimate
from mercer.points import DatasetReference
from mercer.specs import SPEC, SlicedWasserstein

NAME = DatasetReference(dataset="sha256:" + "0" * 64)


def spec(**options):
    """A job whose arrays are named, not here."""
    return SlicedWasserstein(x=NAME, y=NAME, **options)


def sized(n=5, m=4, d=3, **others):
    return {"x": ArrayInfo((n, d), "float64"), "y": ArrayInfo((m, d), "float64"), **others}


@pytest.mark.parametrize(
    ("options", "place", "reason"),
    [
        ({"p": 0.5}, "p", "greater than or equal to 1"),
        ({"p": float("inf")}, "p", "finite"),
        ({"p": float("nan")}, "p", "finite"),
        ({"n_projections": 0}, "n_projections", "greater than or equal to 1"),
        ({"n_projections": 1_000_001}, "n_projections", "less than or equal to 1000000"),
        ({"rel_tol": 0.0}, "rel_tol", "greater than 0"),
        ({"rel_tol": 1.0}, "rel_tol", "less than 1"),
        ({"rel_tol": 0.1, "max_projections": 0}, "max_projections", "greater than or equal to 1"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"seed": 2**63}, "seed", "less than"),
        ({"method": "quasi"}, "method", "Input should be 'auto'"),
        ({"x_weights": [0.5, -0.1]}, "x_weights", "expected weights >= 0"),
        ({"x_weights": [0.5, 0.6]}, "x_weights", "sum to 1"),
        ({"projections": [[3.0, 4.0]]}, "projections", "expected rows of length 1 within 1e-06, got 5 in row 0"),
        ({"projections": [[1.0, 0.0], [0.0, 0.0]]}, "projections", "got 0 in row 1"),
        ({"projections": np.ones(3)}, "projections", "expected shape"),
    ],
)
def test_a_field_out_of_range_is_refused_at_its_place(options, place, reason):
    with pytest.raises(ValidationError, match=reason) as refusal:
        spec(**options)
    assert refusal.value.errors()[0]["loc"][0] == place


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_points_that_are_not_finite_are_refused(number):
    body = f'{{"kind": "sliced_wasserstein", "x": [[{number}]], "y": [[1.0]]}}'
    with pytest.raises(ValidationError):
        SPEC.validate_json(body)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_projections": 5, "rel_tol": 0.1}, "expected one of n_projections, rel_tol and projections"),
        ({"n_projections": 5, "projections": [[1.0]]}, "expected one of n_projections, rel_tol and projections"),
        ({"method": "exact", "n_projections": 5}, "expected no n_projections with exact, which draws no directions"),
        ({"method": "moment", "rel_tol": 0.1}, "expected no rel_tol with moment"),
        ({"max_projections": 5}, "expected max_projections only with rel_tol"),
        ({"method": "lebedev", "projections": [[1.0]]}, "expected no projections with lebedev"),
        ({"intercept": True}, "expected intercept only with lcv and ucv, got auto"),
        ({"method": "centred", "p": 1.0}, "expected p = 2 with centred, got 1"),
        ({"method": "gaussian_cv", "p": 3.0}, "expected p = 2 with gaussian_cv, got 3"),
        ({"method": "moment", "p": 1.5}, "expected p = 2 with moment, got 1.5"),
        ({"method": "moment", "per_slice": True}, "expected no per_slice with moment"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, reason):
    with pytest.raises(ValidationError, match=reason):
        spec(**options)


@pytest.mark.parametrize(
    ("options", "infos", "pointer", "reason"),
    [
        ({}, sized(y=ArrayInfo((4, 2), "float64")), "/y", "as x has 3 columns"),
        ({"x_weights": NAME}, sized(x_weights=ArrayInfo((4, 1), "float64")), "/x_weights", "expected 5 weights"),
        ({"y_weights": NAME}, sized(y_weights=ArrayInfo((4, 1), "float64", -0.5)), "/y_weights", "weights >= 0"),
        ({"method": "lebedev"}, sized(d=4), "/method", "expected d = 3 for lebedev, got points of 4 columns"),
        ({"method": "spiral"}, sized(d=2), "/method", "expected d = 3 for spiral"),
        ({"method": "equispaced"}, sized(d=3), "/method", "expected d = 2 for equispaced"),
        ({"method": "exact"}, sized(d=3), "/method", "expected d = 1 or d = 2 for exact"),
        ({"method": "exact", "p": 1.0}, sized(5, 5, 2), "/p", "expected p = 2 for exact in d = 2"),
        ({"method": "exact"}, sized(5, 4, 2), "/method", "as many points in both"),
        ({"method": "exact"}, sized(1_001, 1_001, 2), "/method", "at most 1000"),
        ({"method": "exact", "per_slice": True}, sized(5, 5, 2), "/per_slice", "has no slices"),
        ({"method": "exact", "per_slice": True}, sized(5, 5, 2), "/per_slice", "expected no per_slice for exact"),
        (
            {"method": "exact", "x_weights": NAME},
            sized(5, 5, 2, x_weights=ArrayInfo((5, 1), "float64", 0.0)),
            "/x_weights",
            "expected no weights for exact",
        ),
        ({"method": "spherical_harmonics", "n_projections": 34}, sized(), "/method", "at least 35 directions"),
        ({"method": "spherical_harmonics", "n_projections": 10**6}, sized(d=65), "/method", "expected d <= 64"),
        ({"projections": NAME}, sized(projections=ArrayInfo((9, 2), "float64")), "/projections", "shape (L, 3)"),
        ({"projections": NAME}, sized(projections=ArrayInfo((3, 9), "float64")), "/projections", "transpose it"),
        (
            {"projections": NAME},
            sized(projections=ArrayInfo((1_000_001, 3), "float64")),
            "/projections",
            "at most 1000000 directions",
        ),
    ],
)
def test_what_does_not_fit_the_arrays_is_refused_with_its_field(options, infos, pointer, reason):
    with pytest.raises(InvalidSpec) as refusal:
        spec(**options).check(infos)
    assert any(error.pointer == pointer and reason in error.detail for error in refusal.value.errors)


@pytest.mark.parametrize(
    ("options", "infos"),
    [
        ({}, sized(1, 1, 1)),
        ({"method": "exact", "p": 3.0}, sized(7, 4, 1)),
        ({"method": "exact"}, sized(1_000, 1_000, 2)),
        ({"method": "spherical_harmonics", "n_projections": 35}, sized()),
        ({"method": "lcv", "p": 1.0, "intercept": True}, sized()),
        ({"projections": NAME, "method": "ucv"}, sized(projections=ArrayInfo((9, 3), "float32"))),
    ],
)
def test_what_fits_passes(options, infos):
    spec(**options).check(infos)


def test_more_of_anything_costs_more():
    least = spec(n_projections=10).cost(sized())
    for options, infos in (
        ({"n_projections": 11}, sized()),
        ({"n_projections": 10}, sized(6)),
        ({"n_projections": 10}, sized(5, 4, 4)),
        ({"rel_tol": 0.1}, sized()),
        ({"method": "spherical_harmonics", "n_projections": 40}, sized()),
    ):
        cost = spec(**options).cost(infos)
        assert cost.flops > least.flops
        assert cost.peak_bytes >= least.peak_bytes


def test_a_regression_on_harmonics_holds_no_more_than_its_harmonics():
    """A million directions in d = 10: 714 harmonics of degree 4, not all those of degree 12."""
    assert spec(method="spherical_harmonics", n_projections=10**6).cost(sized(d=10)).peak_bytes < 25 * 10**9


def test_slices_that_are_answered_are_in_the_cost():
    assert spec(n_projections=1_000, per_slice=True).cost(sized()).bytes_out >= 8 * 1_000 * 5
    assert spec(n_projections=1_000).cost(sized()).bytes_out == 16


def test_small_jobs_of_one_dtype_and_order_share_a_launch():
    key = spec().batch_key(sized())
    assert key == spec(method="ucv", seed=5).batch_key(sized(50, 60, 20))
    others = [
        spec(dtype="float32").batch_key(sized()),
        spec(p=1.0).batch_key(sized()),
        spec(rel_tol=0.1).batch_key(sized()),
        spec().batch_key(sized(10**6)),
    ]
    assert len({key, *others}) == 5


FACTS = {
    "distance": 2.0, "power": 4.0, "distance_error": 0.025, "power_error": 0.1, "interval": [1.95, 2.05],
    "power_interval": [3.8, 4.2], "p": 2.0, "method": "mc", "reason": "as asked for", "n_projections": 100,
    "n_effective": 100.0, "n_replicates": 100, "lower_bound": 1.0, "gaussian_bound": 2.0, "upper_bound": 9.0,
    "clamped": False, "seed": 0,
}  # fmt: skip


def test_the_answer_is_an_estimate_that_reads_well():
    answer = SlicedWasserstein.answer(np.array([4.0, 2.0]), json.loads(json.dumps(FACTS)))
    assert isinstance(answer, SlicedWassersteinEstimate)
    assert (answer.interval, answer.directions, answer.costs) == ((1.95, 2.05), None, None)
    assert str(answer) == (
        "SW_2 = 2 +- 0.025 (standard error)\n95 %  [1.95, 2.05]\nSW_2^2 = 4\n"
        "mc: as asked for; 100 directions, worth 100 independent ones"
    )


def test_the_answer_of_an_approximation_has_bounds_and_no_error():
    without = {"distance_error": None, "power_error": None, "n_effective": None, "method": "moment"}
    lines = str(SlicedWasserstein.answer(np.array([4.0, 2.0]), FACTS | without)).splitlines()
    assert lines[:2] == ["SW_2 = 2", "bounds  [1.95, 2.05]"]


def test_the_answer_holds_slices_where_they_were_asked_for():
    slices = np.arange(10.0).reshape(2, 5)
    answer = SlicedWasserstein.answer(slices, FACTS)
    np.testing.assert_array_equal(answer.directions, slices[:, :3])
    np.testing.assert_array_equal(answer.slice_weights, slices[:, 3])
    np.testing.assert_array_equal(answer.costs, slices[:, 4])


@pytest.mark.parametrize("n", [0, 1, 40])
def test_an_estimate_has_a_picture_with_and_without_its_slices(tmp_path, n):
    pytest.importorskip("matplotlib")
    array = np.random.default_rng(0).random((n, 5)) if n else np.array([4.0, 2.0])
    answer = SlicedWasserstein.answer(array, FACTS | {"n_replicates": n})
    assert answer.plot(tmp_path / "estimate.png").read_bytes().startswith(b"\x89PNG")
