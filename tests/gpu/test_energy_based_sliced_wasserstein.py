"""The energy-based distance against the formula on POT's slices, and its error against repetition."""

import math
from functools import cache

import numpy as np
import ot
import pytest
from scipy.special import softmax
from scipy.stats import sem

from gpu.device import Device
from gpu.ops import energy_based_sliced_wasserstein as op
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec
from mercer.specs import EnergyBasedSlicedWasserstein

ENERGIES = ({"energy": "exp"}, {"energy": "identity"}, {"energy": "power", "exponent": 2.0},
            {"energy": "power", "exponent": 0.3})  # fmt: skip
TOLERANCE = {"float32": 1e-6, "float64": 1e-9}


@cache
def cpu():
    return Device("cpu")


def cloud(n, d, seed, shift=0.0):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) + shift


def task(x, y, report=lambda share: None, **options):
    spec = EnergyBasedSlicedWasserstein(x=x, y=y, **options)
    return Task(spec, spec.arrays(), report)


def estimate(*several):
    answers = op.run(several, cpu())
    made = [EnergyBasedSlicedWasserstein.answer(answer.array(), answer.facts) for answer in answers]
    return made if len(made) > 1 else made[0]


def ebsw(c, energy, exponent=None):
    """Nguyen and Ho's weights."""
    return c @ (softmax(c) if energy == "exp" else c ** (exponent or 1) / (c ** (exponent or 1)).sum())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("energy", ENERGIES, ids=str)
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m", "weighted"), [(40, 40, False), (40, 27, False), (31, 40, True)])
def test_an_estimate_is_the_formula_on_pots_slices(n, m, weighted, p, energy, dtype):
    x, y = cloud(n, 4, 1), cloud(m, 4, 2, shift=0.6)
    a, b = (np.random.default_rng(size).dirichlet(np.ones(size)) if weighted else None for size in (n, m))
    given = task(x, y, x_weights=a, y_weights=b, p=p, n_projections=50, dtype=dtype, **energy)
    got, thetas = estimate(given), op.thetas(given.spec, 4)
    _, log = ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=thetas.T, log=True)
    np.testing.assert_allclose(got.costs, log["projected_emds"], rtol=TOLERANCE[dtype])
    assert got.power == pytest.approx(ebsw(log["projected_emds"], **energy), rel=TOLERANCE[dtype])
    assert got.power == pytest.approx(op.reference(given), rel=TOLERANCE[dtype])
    assert got.distance == pytest.approx(got.power ** (1 / p), rel=1e-14)
    assert got.distance_error == pytest.approx(got.power_error / (p * got.distance ** (p - 1)), rel=1e-12)
    np.testing.assert_allclose(np.array(got.interval) ** p, got.power_interval, rtol=1e-12)


@cache
def many_costs():
    return estimate(task(cloud(12, 3, 1), cloud(9, 3, 2, shift=0.7), n_projections=200_000)).costs


def repeated(energy, n_projections):
    """The true value, and the estimates from as many disjoint sets of directions as there are."""
    spec = task(cloud(12, 3, 1), cloud(9, 3, 2, shift=0.7), **energy).spec
    several = [op.summary(spec, costs, 3) for costs in many_costs().reshape(-1, n_projections)]
    return ebsw(many_costs(), **energy), {name: np.array([one[name] for one in several]) for name in several[0]}


@pytest.mark.parametrize("energy", ENERGIES, ids=str)
def test_the_error_is_that_of_repetition_and_the_interval_covers(energy):
    truth, runs = repeated(energy, 200)
    assert runs["power"].std() == pytest.approx(runs["power_error"].mean(), rel=0.1)
    low, high = runs["power_interval"].T
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.97


@pytest.mark.parametrize("energy", ENERGIES, ids=str)
def test_the_bias_is_downwards_and_as_told(energy):
    truth, runs = repeated(energy, 20)
    noise = runs["power"].std() / math.sqrt(len(runs["power"]))
    assert runs["power"].mean() < truth - 3 * noise
    assert runs["power"].mean() - truth == pytest.approx(runs["bias"].mean(), rel=0.2, abs=3 * noise)


@pytest.mark.parametrize("energy", ENERGIES, ids=str)
def test_it_is_at_least_the_sliced_distance_and_at_most_the_largest_slice(energy):
    got = estimate(task(cloud(30, 5, 1), cloud(30, 5, 2, shift=1.0), **energy))
    assert got.costs.mean() < got.power < got.costs.max()
    assert 1 < got.n_effective < 1000


def test_an_energy_that_grows_faster_gives_more():
    x, y = cloud(30, 3, 1), cloud(30, 3, 2, shift=1.0)
    several = [estimate(task(x, y, energy="power", exponent=exponent)).power for exponent in (0.1, 1.0, 3.0, 100.0)]
    assert several == sorted(several)
    assert estimate(task(x, y, energy="power", exponent=1.0)).power == estimate(task(x, y, energy="identity")).power


def test_an_energy_that_hardly_grows_gives_the_mean_of_the_slices_and_its_error():
    got = estimate(task(cloud(9, 3, 1), cloud(9, 3, 2), energy="power", exponent=1e-9, n_projections=5))
    assert got.power == pytest.approx(got.costs.mean(), rel=1e-7)
    assert got.power_error == pytest.approx(sem(got.costs), rel=1e-7)
    assert got.n_effective == pytest.approx(5)
    assert got.power_interval == pytest.approx(
        [got.power + sign * 1.96 * got.power_error for sign in (-1, 1)], rel=1e-4
    )


def test_no_energy_overflows():
    x, y = cloud(20, 3, 1), cloud(20, 3, 2, shift=1.0) * 1e4
    got = estimate(task(x, y, energy="exp"))
    assert got.power == pytest.approx(got.costs.max())
    assert got.n_effective == pytest.approx(1)
    far = estimate(task(x * 1e100, y * 1e100, energy="power", exponent=100.0))
    assert math.isfinite(far.power)
    assert math.isfinite(far.power_error)


@pytest.mark.parametrize("energy", ENERGIES, ids=str)
@pytest.mark.parametrize("d", [1, 3])
def test_equal_measures_are_at_distance_zero_without_error(energy, d):
    x = cloud(20, d, 1)
    got = estimate(task(x, x.copy(), n_projections=30, **energy))
    assert (got.power, got.distance, got.bias, got.power_error, got.interval) == (0.0, 0.0, 0.0, 0.0, (0.0, 0.0))


@pytest.mark.parametrize("energy", ENERGIES, ids=str)
def test_diracs_on_a_line_take_one_direction(energy):
    got = estimate(task(np.zeros((1, 1)), np.full((1, 1), 3.0), **energy))
    assert (got.power, got.distance, got.n_effective, len(got.costs)) == (9.0, 3.0, 1.0, 1)
    assert (got.power_error, got.distance_error, got.interval) == (0.0, 0.0, (3.0, 3.0))


def test_a_single_direction_of_many_has_no_error():
    got = estimate(task(cloud(9, 2, 1), cloud(9, 2, 2), n_projections=1))
    assert got.power_error is got.distance_error is got.interval is got.power_interval is None


def test_weights_of_a_data_set_are_checked_when_the_job_runs():
    x, y = cloud(3, 2, 1), cloud(3, 2, 2)
    given = task(x, y)
    with pytest.raises(InvalidSpec) as refused:
        op.run([Task(given.spec, given.arrays | {"y_weights": np.full((3, 1), 0.5)})], cpu())
    assert refused.value.errors[0].pointer == "/y_weights"


def test_every_job_of_a_batch_hears_of_its_progress():
    heard = [[], []]
    estimate(*(task(cloud(9, 2, 1), cloud(9, 2, 2), each.append) for each in heard))
    assert heard[0] == heard[1]
    assert heard[0][-1] == 1

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        estimate(task(cloud(9, 2, 1), cloud(9, 2, 2)), task(cloud(9, 2, 1), cloud(9, 2, 2), cancel))


def test_it_reads_in_a_few_lines():
    text = str(estimate(task(cloud(9, 2, 1), cloud(9, 2, 2))))
    assert text.startswith("EBSW_p = ")
    assert "standard error" in text
