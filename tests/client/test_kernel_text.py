import pytest
from hypothesis import given
from hypothesis import strategies as st

from mercer import kernels as k
from mercer.errors import InvalidSpec
from mercer.kernels.text import MAX_CHARACTERS, parse

EXAMPLES = [
    pytest.param(family(**parameters), id=f"{name}-{index}")
    for name, family in k.FAMILIES.items()
    for index, parameters in enumerate(family.examples)
]

families = st.sampled_from([example.values[0] for example in EXAMPLES])
factors = st.floats(min_value=1e-300, max_value=1e300)


def composed(parts):
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda pair: pair[0] + pair[1]),
        pairs.map(lambda pair: pair[0] * pair[1]),
        st.tuples(factors, parts).map(lambda pair: pair[0] * pair[1]),
        st.tuples(parts, st.integers(1, 64)).map(lambda pair: pair[0] ** pair[1]),
    )


@given(st.recursive(families, composed, max_leaves=8))
def test_what_str_writes_parse_reads(kernel):
    assert parse(str(kernel)) == kernel


@pytest.mark.parametrize("kernel", EXAMPLES)
def test_every_family_is_written_as_it_is_read(kernel):
    assert parse(str(kernel)) == kernel


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("gaussian(lengthscale=2)", k.Gaussian(lengthscale=2.0)),
        (
            "0.7*matern(nu=2.5, lengthscale=[1,2,0.5]) + white(variance=0.01)",
            0.7 * k.Matern(nu=2.5, lengthscale=[1.0, 2.0, 0.5]) + k.White(0.01),
        ),
        ("(linear() * periodic(period=1))**2", (k.Linear() * k.Periodic(period=1.0)) ** 2),
        ("white(0.1) + 3", k.White(0.1) + 3),
        ("linear() * 2", 2 * k.Linear()),
        ("sigmoid(offset=-0.5)", k.Sigmoid(offset=-0.5)),
        ("  linear(\n  offset = 1 )  ", k.Linear(offset=1.0)),
        ("cosine(active_dimensions=[0, 2])", k.Cosine(active_dimensions=(0, 2))),
        ("gaussian(lengthscale=None, gamma=2)", k.Gaussian(gamma=2.0)),
    ],
)
def test_text_means_what_python_means(text, kernel):
    assert parse(text) == kernel


def test_text_shows_every_parameter_and_no_needless_zero():
    assert str(0.5 * k.Matern(lengthscale=(1.0, 2.5)) + 2) == (
        "0.5 * matern(nu=2.5, lengthscale=[1, 2.5]) + constant(value=2)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gausian(lengthscale=2)", r"character 1: expected one of gaussian, .* did you mean gaussian\?"),
        ("linear() + Matern(nu=1)", r"character 12: .*did you mean matern\?"),
        ("gaussian(sigma=2)", "character 10: expected gaussian to take each of lengthscale, gamma.* got sigma"),
        ("gaussian(gamma=1, gamma=2)", "character 19: .*at most once; got gamma"),
        ("gaussian", r"expected gaussian\(\) with parentheses"),
        ("gaussian(lengthscale=-1)", "lengthscale: expected a finite number > 0, got -1"),
        ("gaussian(lengthscale=1, gamma=2)", "1: expected one bandwidth, got both"),
        ("matern(2.5)", "character 8: expected parameters by name, such as nu=..., lengthscale=..."),
        ("white(1, 2)", "character 7: expected parameters by name"),
        ("2 * 3", "a kernel function on one side"),
        ("2", "expected a kernel function such as"),
        ("(linear()", "character 1: .* never closed"),
        ("", "character 1"),
        ("linear() - linear()", r"composed with \+, \* and \*\*"),
        ("linear()**0.5", "of a whole number"),
        ("linear()**65", "exponent: .*64"),
        ("gaussian(lengthscale='2')", "character 22: expected a number, or a list of numbers"),
        ("gaussian(lengthscale=True)", "character 22: expected a number"),
        ("gaussian(lengthscale=1e999)", "expected a number"),
        (f"gaussian(lengthscale={'9' * 400})", "expected a number"),
        ("+".join(["linear()"] * 33), "expected 2 to 32 kernel functions, got 33"),
        ("linear()" + " " * MAX_CHARACTERS, f"at most {MAX_CHARACTERS} characters"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_is_allowed(text, message):
    with pytest.raises(InvalidSpec, match=message):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "gaussian.__init__()",
        "(lambda: 1)()",
        "[linear() for _ in range(9)]",
        "linear(offset=open('/etc/passwd'))",
        "linear() if 1 else linear()",
        "gaussian(**{'gamma': 1})",
        "f'{1}'",
        "-" * 3_900 + "1",
        "+".join(["linear()"] * 400),
        "(" * 1_900 + ")" * 1_900,
    ],
)
def test_nothing_else_is_executed(text):
    with pytest.raises(InvalidSpec):
        parse(text)
