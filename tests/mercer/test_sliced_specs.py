"""What jobs on two measures refuse, and what they cost."""

import json
from math import comb

import pytest
from pydantic import ValidationError

from mercer.arrays import ArrayInfo
from mercer.errors import InvalidSpec
from mercer.specs import KINDS, SPEC

POINTS = {"x": [[0.0, 1.0], [2.0, 3.0]], "y": [[1.0, 1.0], [0.0, 2.0], [5.0, 5.0]]}
NEEDED = {
    "energy_based_sliced_wasserstein": {},
    "generalised_sliced_wasserstein": {"defining_function": "linear"},
    "max_sliced_wasserstein": {"n_starts": 1, "n_steps": 1},
    "sliced_wasserstein_test": {},
}
WEIGHTED = [kind for kind in NEEDED if "x_weights" in KINDS[kind].model_fields]

every_kind = pytest.mark.parametrize("kind", NEEDED)
every_weighted_kind = pytest.mark.parametrize("kind", WEIGHTED)


def read(kind, **fields):
    return SPEC.validate_json(json.dumps({"kind": kind, **POINTS, **NEEDED[kind], **fields}))


def sized(n, m, d, **weights):
    shapes = {"x": (n, d), "y": (m, d), **weights}
    return {name: ArrayInfo(shape, "float64", 0.0) for name, shape in shapes.items()}


@every_kind
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("p", 0.5),
        ("p", 0.0),
        ("p", "2"),
        ("n_projections", 0),
        ("n_projections", 1_000_001),
        ("n_projections", 2.5),
        ("seed", -1),
        ("seed", 2**63),
        ("dtype", "float16"),
        ("x", []),
        ("x", [[None]]),
    ],
)
def test_a_field_out_of_its_range_is_refused_at_its_place(kind, field, value):
    with pytest.raises(ValidationError) as refused:
        read(kind, **{field: value})
    assert {error["loc"][1] for error in refused.value.errors()} == {field}


@every_kind
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["p", "x"])
def test_numbers_that_are_not_finite_are_refused(kind, field, number):
    value = number if field == "p" else f"[[{number}]]"
    text = json.dumps({"kind": kind, **POINTS, **NEEDED[kind], field: "HERE"}).replace('"HERE"', value)
    with pytest.raises(ValidationError) as refused:
        SPEC.validate_json(text)
    assert {error["loc"][1] for error in refused.value.errors()} == {field}


@every_kind
def test_measures_of_another_dimension_are_refused(kind):
    with pytest.raises(InvalidSpec) as refused:
        read(kind).check({"x": ArrayInfo((3, 2), "float64"), "y": ArrayInfo((3, 4), "float64")})
    assert refused.value.errors == (("/y", "expected shape (m, 2) as x has 2 columns, got (3, 4)"),)


@every_weighted_kind
def test_weights_that_are_none_are_refused_with_their_field(kind):
    for weights in ([-0.5, 1.5], [0.5, 0.6], [0.5, None]):
        with pytest.raises(ValidationError) as refused:
            read(kind, x_weights=weights)
        assert {error["loc"][1] for error in refused.value.errors()} == {"x_weights"}
    assert read(kind, x_weights=[2.0, 3.0], normalize=True).x_weights.sum() == 5


@every_weighted_kind
def test_every_point_has_its_weight(kind):
    with pytest.raises(InvalidSpec) as refused:
        read(kind).check(sized(2, 3, 2, x_weights=(3, 1), y_weights=(2, 1)))
    assert [error.pointer for error in refused.value.errors] == ["/x_weights", "/y_weights"]


@every_weighted_kind
def test_minima_are_looked_at_for_weights_alone(kind):
    assert not read(kind).needs_minima()
    assert read(kind, y_weights=[0.5, 0.25, 0.25]).needs_minima()


@every_kind
@pytest.mark.parametrize(("more_n", "more_m", "more_d"), [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1000, 1000, 10)])
def test_a_larger_job_never_costs_less(kind, more_n, more_m, more_d):
    for n, m, d in ((1, 1, 1), (5, 9, 3), (100, 50, 4), (10**6, 10**7, 5)):
        smaller, larger = read(kind).cost(sized(n, m, d)), read(kind).cost(sized(n + more_n, m + more_m, d + more_d))
        assert all(few <= many for few, many in zip(smaller[:3], larger[:3], strict=True))


@every_kind
def test_more_directions_cost_more_and_memory_stays_bounded(kind):
    infos = sized(10**5, 10**5, 3)
    few, many = (read(kind, n_projections=count).cost(infos) for count in (1_000, 100_000))
    assert 20 * few.flops < many.flops < 150 * few.flops
    assert many.peak_bytes - few.peak_bytes < 100_000 * 200  # the directions and their costs


@every_kind
def test_large_jobs_are_apart_from_small_ones(kind):
    keys = {read(kind).batch_key(sized(n, n, 3)) for n in (10, 100, 10**6)}
    assert {key.rpartition(":")[2] for key in keys} == {"small", "large"}
    assert read(kind).batch_key(sized(9, 9, 3)) != read(kind, dtype="float32").batch_key(sized(9, 9, 3))


@pytest.mark.parametrize("fields", [{"energy": "power"}, {"exponent": 2.0}, {"energy": "identity", "exponent": 1.0}])
def test_an_exponent_is_the_energy_powers_alone(fields):
    with pytest.raises(ValidationError, match="expected an exponent with the energy power and no other"):
        read("energy_based_sliced_wasserstein", **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"defining_function": "circular"},
        {"defining_function": "polynomial"},
        {"defining_function": "circular", "degree": 3},
        {"defining_function": "polynomial", "degree": 3, "radius": 1.0},
        {"radius": 1.0},
        {"degree": 5},
    ],
)
def test_a_parameter_is_its_defining_functions_alone(fields):
    with pytest.raises(
        ValidationError, match="expected a (radius with circular|degree with polynomial) and nothing el"
    ):
        read("generalised_sliced_wasserstein", **fields)


@pytest.mark.parametrize("fields", [{"degree": 2}, {"degree": 7}, {"radius": 0.0}, {"defining_function": "cubic"}])
def test_defining_functions_and_their_parameters_are_of_a_kind(fields):
    with pytest.raises(ValidationError) as refused:
        read("generalised_sliced_wasserstein", **fields)
    assert refused.value.errors()[0]["loc"][1] == next(iter(fields))


@pytest.mark.parametrize(
    ("degree", "d", "fits"), [(3, 30, True), (3, 31, False), (5, 11, True), (5, 12, True), (5, 13, False)]
)
def test_polynomials_are_bounded_in_length(degree, d, fits):
    spec = read("generalised_sliced_wasserstein", defining_function="polynomial", degree=degree)
    if fits:
        spec.check(sized(3, 3, d))
        return
    with pytest.raises(InvalidSpec) as refused:
        spec.check(sized(3, 3, d))
    (error,) = refused.value.errors
    assert error.pointer == "/degree"
    assert f"expected at most 5000 monomials, got {comb(d + degree - 1, degree)} of degree {degree}" in error.detail
    assert ("or degree 3" in error.detail) == (degree == 5)


@pytest.mark.parametrize("fields", [{"n_starts": 0}, {"n_starts": 1_001}, {"n_steps": 0}, {"n_steps": 10_001}])
def test_ascents_and_their_steps_are_bounded(fields):
    with pytest.raises(ValidationError):
        read("max_sliced_wasserstein", **fields)


@pytest.mark.parametrize("count", [0, 100_001])
def test_permutations_are_at_least_one_and_bounded(count):
    with pytest.raises(ValidationError):
        read("sliced_wasserstein_test", n_permutations=count)
