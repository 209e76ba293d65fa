import numpy as np
import pytest
from pydantic import ValidationError

from mercer.arrays import ArrayInfo
from mercer.errors import InvalidSpec
from mercer.points import DatasetReference
from mercer.specs import SlicedWassersteinFlow

NAME = DatasetReference(dataset="sha256:" + "0" * 64)


def spec(**options):
    """A job whose arrays are named, not here."""
    return SlicedWassersteinFlow(x=NAME, y=NAME, **options)


def sized(n, m, d, **others):
    return {"x": ArrayInfo((n, d), "float64"), "y": ArrayInfo((m, d), "float64"), **others}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_projections": 0}, "greater than or equal to 1"),
        ({"n_steps": 0}, "greater than or equal to 1"),
        ({"step_size": 0.0}, "greater than 0"),
        ({"step_size": float("inf")}, "finite"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"method": "gaussian_cv"}, "Input should be 'mc'"),
        ({"method": "centred", "intercept": True}, "expected lcv or ucv with intercept"),
        ({"n_steps": 3, "snapshots": 4}, "expected at most 3 snapshots of 3 steps, got 4"),
        ({"exact_w2": True, "x_weights": [0.5, 0.5]}, "expected no weights with exact_w2"),
        ({"x_weights": [0.5, 0.6]}, "expected weights that sum to 1"),
    ],
)
def test_what_does_not_fit_is_refused(options, reason):
    with pytest.raises(ValidationError, match=reason):
        spec(**options)


@pytest.mark.parametrize(
    ("options", "infos", "pointer", "reason"),
    [
        ({}, {"y": ArrayInfo((3, 2), "float64")}, "/y", "as x has 3 columns"),
        ({"method": "equispaced"}, {}, "/method", "expected 2 columns for equispaced, got 3"),
        ({"exact_w2": True}, {"y": ArrayInfo((4, 3), "float64")}, "/exact_w2", "of equal size up to 4096"),
        (
            {"exact_w2": True},
            {"x": ArrayInfo((5_000, 3), "float64"), "y": ArrayInfo((5_000, 3), "float64")},
            "/exact_w2",
            "got 5000 and 5000",
        ),
        ({"y_weights": NAME}, {"y_weights": ArrayInfo((4, 1), "float64")}, "/y_weights", "expected 5 weights"),
        ({"y_weights": NAME}, {"y_weights": ArrayInfo((5, 1), "float64", -1.0)}, "/y_weights", "expected weights >= 0"),
    ],
)
def test_what_does_not_fit_the_arrays_is_refused_with_its_field(options, infos, pointer, reason):
    with pytest.raises(InvalidSpec) as refusal:
        spec(**options).check(sized(5, 5, 3) | infos)
    assert any(error.pointer == pointer and reason in error.detail for error in refusal.value.errors)


def test_weights_are_read_beside_their_points():
    weighted = spec(x_weights=np.array([0.5, 0.5]))
    assert set(weighted.arrays()) == {"x", "y", "x_weights"}
    assert weighted.needs_minima()
    assert not spec().needs_minima()


@pytest.mark.parametrize("larger", [{"n_steps": 2_000}, {"n_projections": 20}, {"snapshots": 2, "exact_w2": True}])
def test_more_work_costs_more(larger):
    assert spec(**larger).cost(sized(100, 100, 3)).flops > spec().cost(sized(100, 100, 3)).flops


def test_a_frame_costs_all_its_directions():
    infos = sized(100, 100, 64)
    assert spec(method="orthogonal").cost(infos).flops == spec(method="mc", n_projections=64).cost(infos).flops


def test_exact_distances_cost_their_assignments():
    infos = sized(1_000, 1_000, 3)
    assert spec(exact_w2=True, snapshots=2).cost(infos).flops - spec(snapshots=2).cost(infos).flops == 2 * 1_000**3
    assert spec(exact_w2=True).cost(infos).peak_bytes - spec().cost(infos).peak_bytes == 8 * 1_000**2


def test_small_flows_share_a_batch_and_large_ones_are_apart():
    assert spec(n_steps=1).batch_key(sized(5, 5, 3)) == spec(n_steps=9).batch_key(sized(50, 7, 2))
    assert spec().batch_key(sized(5_000, 5_000, 3)) != spec().batch_key(sized(5, 5, 3))
    assert spec(dtype="float32").batch_key(sized(5, 5, 3)) != spec().batch_key(sized(5, 5, 3))
