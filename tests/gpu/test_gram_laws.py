"""What holds for every Gram matrix, however it is cut up and batched."""

import numpy as np
import pytest

from gpu.cpu import plan
from gpu.ops import gram as op
from mercer import kernels as k
from tests.gpu.computing import DTYPES, TOLERANCE, compute, cpu, points, reference, task

EXAMPLES = [(family(**fields)) for family in k.FAMILIES.values() for fields in family.examples]
every_example = pytest.mark.parametrize("kernel", EXAMPLES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
STATIONARY = (k.Gaussian, k.LaplacianL1, k.Exponential, k.Matern, k.RationalQuadratic, k.Periodic, k.Chi2)
COMPOSED = 0.7 * k.Matern(nu=1.2) * k.Periodic(period=2.0) + k.Linear() ** 2 + k.White(0.1)


def _points(kernel, n, seed=0):
    return points(n, 3, seed, positive=any(leaf.non_negative_inputs for leaf in kernel.leaves()))


def _stream(monkeypatch):
    """Panels of a few rows, so that small matrices are cut up as large ones are."""
    monkeypatch.setattr(op, "SMALL_ENTRIES", 1)
    monkeypatch.setattr(op, "TILE_BYTES", 16_000)
    monkeypatch.setattr(plan, "WHOLE_BYTES", 0)


@pytest.fixture
def streamed(monkeypatch):
    _stream(monkeypatch)


@every_example
@every_dtype
def test_k_of_x_and_x_is_exactly_symmetric(kernel, dtype):
    made = compute(kernel, _points(kernel, 61), dtype=dtype)
    assert (made == made.T).all()


@every_example
@every_dtype
def test_a_streamed_matrix_has_the_same_bits(kernel, dtype, monkeypatch):
    x, y = _points(kernel, 131), _points(kernel, 67, 1)
    at_once = compute(kernel, x, y, dtype=dtype)
    _stream(monkeypatch)
    (answer,) = op.run([task(kernel, x, y, dtype=dtype)], cpu())
    blocks = [block.copy() for block in answer.blocks]
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks), at_once)


@pytest.mark.parametrize("kernel", [kernel for kernel in EXAMPLES if isinstance(kernel, STATIONARY)], ids=str)
@every_dtype
def test_the_diagonal_of_a_stationary_function_is_exactly_1(kernel, dtype):
    x = _points(kernel, 40)
    assert (compute(kernel, x, dtype=dtype).diagonal() == 1).all()
    assert (compute(kernel, x, dtype=dtype, diagonal_only=True) == 1).all()


@every_example
@every_dtype
def test_diagonal_only_is_the_diagonal(kernel, dtype):
    x = _points(kernel, 40)
    made = compute(kernel, x, dtype=dtype, diagonal_only=True)
    expected = reference(kernel, x).diagonal()
    np.testing.assert_allclose(made, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kernel", [kernel for kernel in EXAMPLES if kernel.positive_definite], ids=str)
def test_a_positive_definite_function_gives_no_negative_eigenvalue_beyond_rounding(kernel):
    made = compute(kernel, _points(kernel, 120))
    eigenvalues = np.linalg.eigvalsh(made)
    assert eigenvalues.min() >= -1e-14 * len(made) * max(1.0, eigenvalues.max())


@every_dtype
def test_a_batch_equals_its_jobs_one_by_one(dtype):
    random = np.random.default_rng(5)
    kernels = [*EXAMPLES, COMPOSED, *(k.Gaussian(lengthscale=float(s)) for s in random.uniform(0.1, 3, 30))]
    tasks = []
    for index, kernel in enumerate(kernels):
        n, m = random.integers(1, 70, 2)
        x = _points(kernel, n, index) * random.choice([1e-3, 1.0, 1e2])
        y = None if index % 3 else _points(kernel, m, index + 1)
        tasks.append(task(kernel, x, y, dtype=dtype, normalise=bool(index % 2)))
    order = random.permutation(len(tasks))
    together = op.run([tasks[i] for i in order], cpu())
    for i, answer in zip(order, together, strict=True):
        (alone,) = op.run([tasks[i]], cpu())
        np.testing.assert_array_equal(answer.array(), alone.array())


def test_answers_outlive_the_next_batch():
    tasks = [task(k.Gaussian(), points(30, 2, seed)) for seed in range(4)]
    first = [answer.array for answer in op.run(tasks, cpu())]
    op.run([task(k.Linear(), points(60, 2, 9))] * 4, cpu())
    np.testing.assert_array_equal(first[0](), compute(k.Gaussian(), points(30, 2, 0)))


def test_white_noise_is_of_the_same_point_and_not_of_equal_ones():
    x = np.zeros((3, 2))
    np.testing.assert_array_equal(compute(k.White(0.5), x), 0.5 * np.eye(3))
    np.testing.assert_array_equal(compute(k.White(0.5), x, x), np.zeros((3, 3)))


def test_white_noise_of_a_streamed_matrix_lies_on_its_diagonal(streamed):
    np.testing.assert_array_equal(compute(k.White(0.5), points(700, 2)), 0.5 * np.eye(700))


@every_dtype
@pytest.mark.parametrize("with_y", [False, True])
@pytest.mark.parametrize("kernel", [k.Polynomial(), COMPOSED, k.ArcCosine(order=2)], ids=str)
def test_normalise_divides_by_the_roots_of_the_diagonals(kernel, with_y, dtype):
    x, y = points(50, 3), points(31, 3, 1) if with_y else None
    made = compute(kernel, x, y, dtype=dtype, normalise=True)
    np.testing.assert_allclose(made, reference(kernel, x, y, normalise=True), rtol=0, atol=TOLERANCE[dtype])
    assert with_y or (made.diagonal() == 1).all()


def test_a_streamed_normalised_matrix_has_exactly_1_on_its_diagonal(streamed):
    assert (compute(k.Polynomial(), points(130, 3), normalise=True).diagonal() == 1).all()


def test_normalise_gives_0_where_a_point_has_no_length():
    made = compute(k.Linear(), np.array([[0.0, 0.0], [3.0, 4.0]]), normalise=True)
    assert made.tolist() == [[0.0, 0.0], [0.0, 1.0]]


@every_dtype
@pytest.mark.parametrize("normalise", [False, True])
def test_centre_takes_the_means_out_of_rows_and_columns(normalise, dtype):
    """In float64 within: the matrix is 3,000 times larger before."""
    x = points(600, 3) + 50
    made = compute(k.Linear(), x, dtype=dtype, centre=True, normalise=normalise)
    expected = reference(k.Linear(), x, centre=True, normalise=normalise)
    before = reference(k.Linear(), x, normalise=normalise)
    bound = {"float32": 1e-7 * np.abs(expected).max(), "float64": 1e-14 * np.abs(before).max()}[dtype]
    np.testing.assert_allclose(made, expected, rtol=0, atol=bound)
    assert (made == made.T).all()


@every_dtype
def test_a_streamed_centred_matrix_is_the_same(dtype, streamed):
    x = points(150, 3)
    np.testing.assert_allclose(
        compute(COMPOSED, x, dtype=dtype, centre=True),
        reference(COMPOSED, x, centre=True),
        atol=TOLERANCE[dtype] * 30,
    )


@every_dtype
@pytest.mark.parametrize(
    "kernel", [k.Gaussian(lengthscale=18.0), k.Exponential(lengthscale=18.0), k.Linear(), k.ArcCosine(order=0)], ids=str
)
@pytest.mark.parametrize("whole", [True, False])
def test_products_by_blas_keep_symmetry_and_digits(kernel, dtype, whole, monkeypatch):
    """Dimensions so many that u . v comes from BLAS, in tiles of the diagonal and beside it."""
    _stream(monkeypatch)
    monkeypatch.setattr(plan, "WHOLE_BYTES", 2**20 if whole else 0)
    monkeypatch.setattr(plan, "EDGE", 32)
    x = points(150, 300)
    x[75:] = x[:75] + 1e-7
    made = compute(kernel, x, dtype=dtype)
    expected = reference(kernel, x)
    assert (made == made.T).all()
    np.testing.assert_allclose(made, expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(expected).max())


def test_products_by_blas_are_left_where_they_would_lose_digits(streamed):
    x = points(150, 300) + 1000 * (np.arange(150) % 2)[:, None]
    made, expected = (f(k.Gaussian(lengthscale=18.0), x) for f in (compute, reference))
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)


def test_progress_is_reported_up_to_1(streamed):
    heard = []
    job = task(k.Gaussian(), points(150, 2))
    (answer,) = op.run([type(job)(job.spec, job.arrays, heard.append)], cpu())
    answer.array()
    assert heard == sorted(heard)
    assert len(heard) > 2
    assert heard[-1] == 1


def test_the_facts_tell_what_the_matrix_is():
    (answer,) = op.run([task(k.Sigmoid(gamma=50.0), points(5, 2), dtype="float32")], cpu())
    assert answer.facts == {"positive_definite": False, "arithmetic": "float64"}
