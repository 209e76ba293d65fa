import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from mercer import kernels as k
from mercer.arrays import ArrayInfo, info_of
from mercer.errors import InvalidSpec
from mercer.points import DatasetReference, PrivateReference, ReleaseReference
from mercer.privacy.terms import Box, Neighbours, Terms, public_info
from mercer.specs import KINDS, SPEC, Gram
from mercer.specs.gram import SMALL_ENTRIES, TILE_BYTES, WHOLE_BYTES

NAME = "sha256:" + "0" * 64
POINTS = {"kernel": {"family": "gaussian"}, "x": [[1.0, 2.0], [3.0, 4.0]]}

TERMS = Terms(
    epsilon=1.0, neighbours=Neighbours.CHANGE_ONE, domain=Box(low=(0.0, 0.0), high=(1.0, 1.0)), max_records=10
)

every_kind = pytest.mark.parametrize("kind", KINDS)
every_example = pytest.mark.parametrize(
    "document", [example for spec in KINDS.values() for example in spec.examples], ids=lambda d: json.dumps(d)[:60]
)


def read(document):
    return SPEC.validate_json(json.dumps(document))


def infos(spec):
    return {name: info(array) for name, array in spec.arrays().items()}


def info(array):
    """Of a private data set and of a release what the service would be told."""
    if isinstance(array, PrivateReference):
        return public_info(TERMS)
    if isinstance(array, ReleaseReference):
        about = {"kind": "private_density", "mechanism": "fourier", "n_features": 1, "box": TERMS.domain.model_dump()}
        return ArrayInfo((3,), "int64", None, about)
    return info_of(array)


def sized(n, d, m=None, minimum=0.0):
    shapes = {"x": (n, d)} if m is None else {"x": (n, d), "y": (m, d)}
    return {name: ArrayInfo(shape, "float64", minimum) for name, shape in shapes.items()}


def gram(kernel=None, *, y=False, **options):
    """A job whose arrays are named, not here."""
    reference = DatasetReference(dataset=NAME)
    return Gram(kernel=kernel or k.Gaussian(), x=reference, y=reference if y else None, **options)


@every_kind
def test_every_kind_has_examples_and_a_formula(kind):
    assert KINDS[kind].examples
    assert KINDS[kind].__doc__.count("\n") > 1
    assert KINDS[kind].model_fields["kind"].default == kind


@every_example
def test_every_example_travels_and_back(document):
    spec = read(document)
    again = SPEC.validate_json(spec.model_dump_json())
    assert again.model_dump_json() == spec.model_dump_json()
    sent = json.loads(spec.model_dump_json(exclude_unset=True))
    arrays = {name: array for name, array in spec.arrays().items() if isinstance(array, np.ndarray)}
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, again.arrays()[name], strict=True)
        flat = not isinstance(document[name][0], list)  # weights
        sent[name] = (array[:, 0] if flat else array).tolist()
    assert sent == json.loads(json.dumps(document))


@every_example
def test_every_example_fits_its_arrays_and_has_a_cost_and_a_key(document):
    spec = read(document)
    spec.check(infos(spec))
    assert all(number > 0 for number in spec.cost(infos(spec)))
    assert spec.batch_key(infos(spec)).startswith(f"{spec.kind}:")


@every_example
def test_unknown_fields_are_refused(document):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        read({**document, "bandwidth": 1.0})


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"kind": "gramm"}, ()),
        ({"kind": None}, ()),
        ({"kernel": None}, ("gram", "kernel")),
        ({"kernel": "gaussian"}, ("gram", "kernel")),
        ({"dtype": "float16"}, ("gram", "dtype")),
        ({"dtype": None}, ("gram", "dtype")),
        ({"centre": "true"}, ("gram", "centre")),
        ({"centre": 1}, ("gram", "centre")),
        ({"normalise": 0}, ("gram", "normalise")),
        ({"x": None}, ("gram", "x")),
        ({"y": [[]]}, ("gram", "y")),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_at_its_place(changed, place):
    with pytest.raises(ValidationError) as refusal:
        read({"kind": "gram", **POINTS, **changed})
    [error] = refusal.value.errors()
    assert error["loc"][: len(place)] == place


@pytest.mark.parametrize("document", [[], None, "gram", 1, {}])
def test_what_is_no_spec_is_refused(document):
    with pytest.raises(ValidationError):
        read(document)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"centre": True, "y": [[1.0, 2.0]]}, "expected no y with centre, which is of K(x, x)"),
        ({"diagonal_only": True, "y": [[1.0, 2.0]]}, "expected no y with diagonal_only, which is of K(x, x)"),
        ({"centre": True, "diagonal_only": True}, "expected centre or diagonal_only, got both"),
        (
            {"kernel": {"family": "sum", "terms": [{"family": "sum", "terms": [{"family": "white"}] * 17}] * 2}},
            "expected a kernel of at most 32 families, got 34",
        ),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, reason):
    with pytest.raises(ValidationError) as refusal:
        read({"kind": "gram", **POINTS, **options})
    assert refusal.value.errors()[0]["msg"] == f"Value error, {reason}"


@pytest.mark.parametrize(
    ("spec", "given_infos", "expected"),
    [
        (gram(y=True), {**sized(3, 2), "y": ArrayInfo((4, 5), "float64")},
         {"/y": "expected shape (m, 2) as x has 2 columns, got (4, 5)"}),
        (gram(k.Matern(lengthscale=[1.0, 2.0, 3.0])), sized(3, 2),
         {"/kernel/lengthscale": "expected 1 or 2 numbers for matern on 2 of the 2 columns, got 3"}),
        (gram(k.Periodic(lengthscale=[1.0], period=[1.0, 2.0])), sized(3, 3),
         {"/kernel/lengthscale": "expected 1 or 3 numbers for periodic on 3 of the 3 columns, got 1",
          "/kernel/period": "expected 1 or 3 numbers for periodic on 3 of the 3 columns, got 2"}),
        (gram(k.White() + 2.0 * k.Gaussian(lengthscale=[1.0, 2.0], active_dimensions=[4])), sized(3, 4),
         {"/kernel/terms/1/kernel/active_dimensions":
             "expected columns below 4 for gaussian, as the points have 4, got 4",
          "/kernel/terms/1/kernel/lengthscale": "expected 1 number for gaussian on 1 of the 4 columns, got 2"}),
        (gram(k.Chi2(), y=True), {**sized(3, 2), "y": ArrayInfo((4, 2), "float64", -0.25)},
         {"/y": "expected points >= 0 for chi2, got -0.25"}),
        (gram(k.AdditiveChi2()), sized(3, 2, minimum=-1e-300),
         {"/x": "expected points >= 0 for additive_chi2, got -1e-300"}),
    ],
    ids=range(6),
)  # fmt: skip
def test_what_does_not_fit_the_points_is_refused_with_pointers(spec, given_infos, expected):
    with pytest.raises(InvalidSpec) as refusal:
        spec.check(given_infos)
    assert dict(refusal.value.errors) == expected


@pytest.mark.parametrize(
    ("kernel", "minimum"),
    [
        (k.Matern(lengthscale=[1.0, 2.0]), -1.0),
        (k.Matern(lengthscale=3.0), -1.0),
        (k.Gaussian(lengthscale=[1.0, 2.0, 3.0], active_dimensions=[1, 0, 1]), -1.0),
        (k.Linear(active_dimensions=[1]), -1.0),
        (k.Chi2(), 0.0),
        (k.Chi2(), None),
    ],
)
def test_what_fits_the_points_passes(kernel, minimum):
    gram(kernel).check(sized(3, 2, minimum=minimum))


sizes = st.integers(1, 10**12)
kernels = st.sampled_from([k.Gaussian(), 0.5 * k.Matern() + k.White(), k.Linear() * k.Cosine() * k.Chi2()])


def never_less(smaller, larger):
    """Of two costs. A matrix that is too large to be held as a whole needs less memory than one that is just held."""
    held = {cost.bytes_out * 8 // itemsize <= WHOLE_BYTES for cost, itemsize in (smaller, larger)}
    pairs = list(zip(smaller[0], larger[0], strict=True))
    return all(few <= many for few, many in (pairs if len(held) == 1 else pairs[:3]))


@given(kernels, st.sampled_from(["float32", "float64"]), sizes, sizes, sizes, sizes, sizes, sizes)
@example(k.Gaussian(), "float32", 4383, 1924, 1, 1, 5730, 1)
def test_a_larger_job_never_costs_less(kernel, dtype, n, m, d, more_n, more_m, more_d):
    spec, itemsize = gram(kernel, y=True, dtype=dtype), np.dtype(dtype).itemsize
    smaller, larger = spec.cost(sized(n, d, m)), spec.cost(sized(n + more_n, d + more_d, m + more_m))
    assert never_less((smaller, itemsize), (larger, itemsize))


@given(kernels, st.sampled_from(["float32", "float64"]), st.booleans(), sizes, sizes)
def test_a_larger_symmetric_job_never_costs_less(kernel, dtype, diagonal_only, n, d):
    spec, itemsize = gram(kernel, dtype=dtype, diagonal_only=diagonal_only), np.dtype(dtype).itemsize
    smaller, larger = spec.cost(sized(n, d)), spec.cost(sized(n + 1, d + 1))
    assert never_less((smaller, itemsize), (larger, itemsize))


def test_no_size_overflows_the_cost():
    cost = gram(y=True).cost(sized(2**40, 2**20, 2**40))
    assert cost.flops == (2 * 2**20 + 10) * 2**80
    assert cost.bytes_out == 8 * 2**80
    assert all(type(number) is int for number in cost)


def test_a_column_that_is_read_many_times_costs_as_many_columns():
    """10,000 indices of one column are 10,000 columns to the worker."""
    repeated = gram(k.Gaussian(active_dimensions=[0] * 10_000)).cost(sized(500, 2))
    wide = gram().cost(sized(500, 10_000))
    assert (repeated.flops, repeated.peak_bytes) == (wide.flops, wide.peak_bytes)


def test_the_cost_is_that_of_the_formula():
    cost = gram(k.Gaussian() + k.White(), y=True, dtype="float32").cost(sized(100, 3, 50))
    assert cost.flops == (2 * 3 + 10) * 100 * 50 * 2
    assert cost.bytes_in == (100 + 50) * 3 * 4
    assert cost.bytes_out == 100 * 50 * 4
    assert cost.bytes_out <= cost.peak_bytes


def test_a_matrix_larger_than_memory_needs_only_a_panel_of_it():
    cost = gram().cost(sized(1_000_000, 3))
    assert cost.bytes_out == 8 * 10**12
    assert cost.peak_bytes < TILE_BYTES + 200 * 10**6


def test_the_diagonal_costs_a_vector():
    assert gram(diagonal_only=True).cost(sized(1_000, 3)).bytes_out == 8_000


@pytest.mark.parametrize("options", [{"normalise": True}, {}])
def test_parameters_do_not_change_the_batch_key(options):
    one = gram(0.5 * k.Matern(nu=2.5) + k.White(), **options)
    other = gram(3.0 * k.Matern(nu=0.7, lengthscale=[1.0, 2.0]) + k.White(9.0), **options)
    assert one.batch_key(sized(10, 2)) == other.batch_key(sized(20, 2)) == other.batch_key(sized(20, 7))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (gram(k.Matern()), gram(k.Gaussian())),
        (gram(k.Matern() + k.White()), gram(k.Matern() * k.White())),
        (gram(dtype="float32"), gram(dtype="float64")),
    ],
)
def test_another_structure_or_dtype_is_another_batch(one, other):
    assert one.batch_key(sized(10, 2)) != other.batch_key(sized(10, 2))


def test_large_matrices_are_apart_from_small_ones():
    n = int(SMALL_ENTRIES**0.5)
    spec = gram(y=True)
    assert spec.batch_key(sized(n, 2, n)) == spec.batch_key(sized(3, 2, 3))
    assert spec.batch_key(sized(n, 2, n)) != spec.batch_key(sized(n, 2, n + 1))


def test_a_batch_key_is_short_and_plain():
    """It becomes part of a key in Redis and a label of metrics."""
    kernel = k.AdditiveChi2()
    for index in range(31):
        kernel = kernel + k.AdditiveChi2() if index % 2 else (kernel + k.AdditiveChi2()) * 2.0
        if kernel.depth() > 28:
            break
    key = gram(kernel).batch_key(sized(10, 2))
    assert len(key) < 1_000
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789_():,")


def test_arrays_are_named_by_their_fields():
    assert set(gram().arrays()) == {"x"}
    assert set(gram(y=True).arrays()) == {"x", "y"}


def test_a_spec_in_python_is_the_spec_on_the_wire():
    spec = Gram(kernel=0.7 * k.Matern() + k.White(0.01), x=np.array([[1, 2], [3, 4]]), dtype="float32")
    again = SPEC.validate_json(spec.model_dump_json(exclude_none=True))
    assert again.model_dump_json() == spec.model_dump_json()


def test_specs_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        gram().dtype = "float32"


def test_the_json_schema_of_all_kinds_is_made():
    schema = json.dumps(SPEC.json_schema())
    assert all(f'"const": "{kind}"' in schema for kind in KINDS)
