import json

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from mercer import kernels as k
from mercer.kernels.expression import MAX_DEPTH, MAX_LEAVES

KERNEL = TypeAdapter(k.Kernel)
GAUSSIAN = {"family": "gaussian", "lengthscale": 2.0}

every_example = pytest.mark.parametrize(
    "document",
    [{"family": name, **example} for name, family in k.FAMILIES.items() for example in family.examples],
    ids=json.dumps,
)
every_function = pytest.mark.parametrize("function", k.FUNCTIONS.values(), ids=lambda function: function.__name__)


def read(document):
    return KERNEL.validate_json(json.dumps(document))


def refusal(document):
    """What is said of a kernel that is none: one error, its place and its message."""
    with pytest.raises(ValidationError) as raised:
        read(document)
    [error] = raised.value.errors(include_url=False)
    return ".".join(map(str, error["loc"])), error["msg"]


@every_example
def test_every_example_travels_as_json_and_back(document):
    kernel = read(document)
    assert KERNEL.validate_json(kernel.model_dump_json()) == kernel
    assert read(kernel.model_dump(mode="json", exclude_none=True)) == kernel
    assert document.items() <= json.loads(kernel.model_dump_json()).items()


@every_example
def test_every_example_is_the_same_in_python_and_json(document):
    parameters = {name: value for name, value in document.items() if name != "family"}
    assert k.FAMILIES[document["family"]](**parameters) == read(document)


@every_example
def test_equal_kernels_have_equal_hashes(document):
    assert len({read(document), read(document)}) == 1


@every_function
def test_every_function_tells_its_formula_and_source(function):
    assert function.formula
    assert any(character.isdigit() for character in function.source), "the year"
    assert function.__doc__.startswith(("k(x, y) = ", "k(x_i, x_j) = "))


@every_function
def test_every_function_is_exported_under_its_own_name(function):
    assert getattr(k, function.__name__) is function
    assert function.__name__ in k.__all__


@pytest.mark.parametrize("name", k.FAMILIES)
def test_every_family_stands_alone(name):
    kernel = read({"family": name})
    assert list(kernel.leaves()) == [kernel]
    assert kernel.structure() == name
    assert kernel.depth() == 1


@pytest.mark.parametrize("name", k.FAMILIES)
def test_unknown_parameters_are_refused(name):
    place, message = refusal({"family": name, "sigma": 1.0})
    assert place == f"{name}.sigma"
    assert "not permitted" in message


def test_only_these_functions_are_not_positive_definite():
    assert {name for name, family in k.FAMILIES.items() if not family().positive_definite} == {
        "sigmoid",
        "additive_chi2",
    }


@pytest.mark.parametrize(
    "kernel",
    [
        k.Sigmoid() + k.White(),
        k.Linear() * k.AdditiveChi2(),
        2 * k.Sigmoid(),
        k.Sigmoid() ** 2,
        (k.Linear() + 3 * k.Sigmoid()) * k.White(),
    ],
    ids=str,
)
def test_one_part_that_is_not_positive_definite_is_enough(kernel):
    assert not kernel.positive_definite


def test_compositions_of_positive_definite_functions_are_so():
    assert ((k.Linear() + 3 * k.Matern()) * k.Periodic() ** 2).positive_definite


wrong_numbers = ["1.5", True, 0, -1.0, [1.0], {}, float("nan"), float("inf"), 10**400]
positive_fields = [
    (name, field)
    for name, family in k.FAMILIES.items()
    for field in ("gamma", "nu", "alpha", "value", "variance")
    if field in family.model_fields
]


@pytest.mark.parametrize("value", wrong_numbers, ids=lambda value: str(value)[:8])
@pytest.mark.parametrize(("name", "field"), positive_fields)
def test_a_positive_number_is_nothing_else(name, field, value):
    place, message = refusal({"family": name, field: value})
    assert place == f"{name}.{field}"
    assert message.startswith("Input should be")


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("1.5", "expected a number or a list of numbers, got str"),
        (True, "expected a number or a list of numbers, got bool"),
        ([1.0, None], "expected a number or a list of numbers, got NoneType"),
        ([[1.0]], "expected a number or a list of numbers, got list"),
        ({}, "expected a number or a list of numbers, got dict"),
        (0, "expected a finite number > 0, got 0"),
        ([1.0, -2.0], "expected a finite number > 0, got -2.0"),
        (float("nan"), "expected a finite number > 0, got nan"),
        ([1.0, float("inf")], "expected a finite number > 0, got inf"),
        ([], "expected one number for each active dimension, got none"),
    ],
)
@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, family in k.FAMILIES.items() for field in family.per_dimension]
)
def test_a_lengthscale_is_one_positive_number_or_several(name, field, value, got):
    assert refusal({"family": name, field: value}) == (f"{name}.{field}", f"Value error, {got}")


@pytest.mark.parametrize("name", ["gaussian", "laplacian_l1"])
def test_two_bandwidths_at_once_are_refused(name):
    _, message = refusal({"family": name, "lengthscale": 1.0, "gamma": 0.5})
    assert message == "Value error, expected one bandwidth, got both lengthscale and gamma"


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"family": "polynomial", "degree": 0}, "polynomial.degree"),
        ({"family": "polynomial", "degree": 65}, "polynomial.degree"),
        ({"family": "polynomial", "degree": 2.0}, "polynomial.degree"),
        ({"family": "polynomial", "degree": True}, "polynomial.degree"),
        ({"family": "polynomial", "offset": -0.1}, "polynomial.offset"),
        ({"family": "linear", "offset": -0.1}, "linear.offset"),
        ({"family": "sigmoid", "offset": "0"}, "sigmoid.offset"),
        ({"family": "arc_cosine", "order": 3}, "arc_cosine.order"),
        ({"family": "arc_cosine", "order": True}, "arc_cosine.order"),
        ({"family": "matern", "nu": 0.01}, "matern.nu"),
        ({"family": "matern", "nu": 501}, "matern.nu"),
        ({"family": "linear", "active_dimensions": []}, "linear.active_dimensions"),
        ({"family": "linear", "active_dimensions": 1}, "linear.active_dimensions"),
        ({"family": "linear", "active_dimensions": "01"}, "linear.active_dimensions"),
        ({"family": "linear", "active_dimensions": [0, -1]}, "linear.active_dimensions.1"),
        ({"family": "linear", "active_dimensions": [0, 1.0]}, "linear.active_dimensions.1"),
        ({"family": "linear", "active_dimensions": [0, 10**30]}, "linear.active_dimensions.1"),
        ({"family": "scale", "factor": 0, "kernel": GAUSSIAN}, "scale.factor"),
        ({"family": "scale", "factor": "2", "kernel": GAUSSIAN}, "scale.factor"),
        ({"family": "scale", "factor": 2}, "scale.kernel"),
        ({"family": "power", "exponent": 2.0, "kernel": GAUSSIAN}, "power.exponent"),
        ({"family": "power", "exponent": 0, "kernel": GAUSSIAN}, "power.exponent"),
        ({"family": "sum", "terms": []}, "sum.terms"),
        ({"family": "sum", "terms": [GAUSSIAN]}, "sum.terms"),
        ({"family": "product", "factors": [GAUSSIAN] * (MAX_LEAVES + 1)}, "product.factors"),
        ({"family": "sum", "terms": [GAUSSIAN, {"family": "white", "variance": 0}]}, "sum.terms.1.white.variance"),
        ({"family": "scale", "factor": 2, "kernel": {"family": "gauss"}}, "scale.kernel"),
        ({"family": "gauss"}, ""),
        ({"lengthscale": 1.0}, ""),
        ("gaussian", ""),
        ([GAUSSIAN], ""),
        (None, ""),
    ],
    ids=range(32),
)
def test_what_does_not_fit_is_refused_at_its_place(document, place):
    assert refusal(document)[0] == place


@pytest.mark.parametrize("number", [np.float32(2), np.float64(2), np.int64(2), np.array(2.0), 2])
def test_numbers_may_be_numpys(number):
    assert k.Gaussian(lengthscale=number) == k.Gaussian(lengthscale=2.0)


def test_whole_numbers_may_be_numpys():
    assert [kernel.degree for kernel in (k.Polynomial(degree=n) for n in np.arange(1, 4))] == [1, 2, 3]
    assert (k.Linear() ** np.int64(2)).exponent == 2


@pytest.mark.parametrize("dimensions", [(0, 2), [0, 2], range(0, 4, 2), np.array([0, 2])])
def test_dimensions_are_given_as_python_has_them(dimensions):
    assert k.Linear(active_dimensions=dimensions).active_dimensions == (0, 2)
    assert k.Linear(active_dimensions=dimensions).n_active(5) == 2
    assert k.Linear().n_active(5) == 5


def test_a_lengthscale_for_each_dimension_may_be_an_array():
    assert k.Matern(lengthscale=np.array([1.0, 2.0])).lengthscale == (1.0, 2.0)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (k.Linear() + k.White(), k.Sum(terms=(k.Linear(), k.White()))),
        (k.Linear() + k.White() + k.Cosine(), k.Sum(terms=(k.Linear(), k.White(), k.Cosine()))),
        (k.Linear() + (k.White() + k.Cosine()), k.Sum(terms=(k.Linear(), k.White(), k.Cosine()))),
        (k.Linear() + 1, k.Sum(terms=(k.Linear(), k.Constant(1.0)))),
        (1 + k.Linear(), k.Sum(terms=(k.Constant(1.0), k.Linear()))),
        (sum([k.Linear(), k.White()]), k.Sum(terms=(k.Linear(), k.White()))),
        (k.Linear() * k.White() * k.Cosine(), k.Product(factors=(k.Linear(), k.White(), k.Cosine()))),
        (0.5 * k.Linear(), k.Scale(factor=0.5, kernel=k.Linear())),
        (k.Linear() * 2, k.Scale(factor=2.0, kernel=k.Linear())),
        (np.float64(0.5) * k.Linear(), k.Scale(factor=0.5, kernel=k.Linear())),
        (k.Linear() ** 3, k.Power(kernel=k.Linear(), exponent=3)),
        (
            0.7 * k.Matern(nu=2.5) + k.White(0.01),
            k.Sum(terms=(k.Scale(factor=0.7, kernel=k.Matern(nu=2.5)), k.White(variance=0.01))),
        ),
    ],
    ids=str,
)
def test_operators_write_compositions(written, meant):
    assert written == meant
    assert KERNEL.validate_json(written.model_dump_json()) == written


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: k.Linear() * "2",
        lambda: "2" * k.Linear(),
        lambda: k.Linear() + "2",
        lambda: k.Linear() + None,
        lambda: k.Linear() * np.ones(2),
        lambda: np.ones(2) * k.Linear(),
        lambda: np.ones(2) + k.Linear(),
        lambda: k.Linear() - k.White(),
        lambda: -k.Linear(),
        lambda: k.Linear() / 2,
        lambda: 1j * k.Linear(),
    ],
    ids=range(11),
)
def test_operators_that_mean_nothing_are_type_errors(nonsense):
    with pytest.raises(TypeError):
        nonsense()


@pytest.mark.parametrize("factor", [0, -1.0, float("inf"), float("nan")])
def test_a_factor_that_is_not_positive_is_refused(factor):
    with pytest.raises(ValidationError):
        factor * k.Linear()


def test_leaves_come_from_left_to_right_each_with_its_pointer():
    kernel = 0.7 * k.Matern() + k.White() * k.Linear() ** 2
    assert list(kernel.leaves()) == [k.Matern(), k.White(), k.Linear()]
    assert dict(kernel.located("/kernel")) == {
        "/kernel/terms/0/kernel": k.Matern(),
        "/kernel/terms/1/factors/0": k.White(),
        "/kernel/terms/1/factors/1/kernel": k.Linear(),
    }
    assert kernel.depth() == 4


def test_pointers_lead_to_the_family_in_the_json():
    kernel = 0.7 * k.Matern() + k.White() * k.Linear() ** 2
    for pointer, leaf in kernel.located():
        found = json.loads(kernel.model_dump_json())
        for step in pointer.split("/")[1:]:
            found = found[int(step) if step.isdigit() else step]
        assert found["family"] == leaf.family


def test_structure_is_the_expression_without_its_parameters():
    one = 0.7 * k.Matern(nu=2.5, lengthscale=[1.0, 2.0]) + k.White(0.01) * k.Linear(active_dimensions=[0]) ** 2
    other = 3.0 * k.Matern(nu=0.3) + k.White(2.0) * k.Linear(offset=1.0) ** 5
    assert one.structure() == other.structure() == "sum(scale(matern),product(white,power(linear)))"
    assert (k.White(0.01) + 0.7 * k.Matern()).structure() != (0.7 * k.Matern() + k.White(0.01)).structure()


def test_functions_inside_each_other_have_a_bound():
    nested = k.Linear()
    for _ in range(MAX_DEPTH - 1):
        nested = 2.0 * nested
    assert nested.depth() == MAX_DEPTH
    assert KERNEL.validate_json(nested.model_dump_json()) == nested
    with pytest.raises(ValidationError, match="at most 32 deep inside each other, got 33"):
        nested * 2.0


@pytest.mark.parametrize("depth", [33, 190, 300, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('{"family":"scale","factor":2,"kernel":', "}"),
        ('{"family":"sum","terms":[{"family":"white"},', "]}"),
    ],
    ids=["scale", "sum"],
)
def test_a_depth_bomb_is_a_refusal(opening, closing, depth):
    with pytest.raises(ValidationError, match="deep inside each other|recursion limit"):
        KERNEL.validate_json(opening * depth + '{"family":"white"}' + closing * depth)


def test_kernels_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        k.Gaussian().lengthscale = 2.0


def test_the_json_schema_names_every_function():
    schema = KERNEL.json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(k.FUNCTIONS)
    assert schema["$defs"]["Gaussian"]["additionalProperties"] is False
    assert schema["$defs"]["Gaussian"]["properties"]["gamma"]["anyOf"][0]["exclusiveMinimum"] == 0
