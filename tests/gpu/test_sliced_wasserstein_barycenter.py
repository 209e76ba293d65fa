"""The barycenter: against its formula, closed forms, and what its iterations promise."""

from functools import cache, partial

import numpy as np
import pytest

from gpu.device import Device
from gpu.ops import sliced_wasserstein_barycenter as op
from gpu.sliced.assignment import squared_w2
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec
from mercer.specs import SlicedWassersteinBarycenter


@cache
def cpu():
    return Device("cpu")


def cloud(n, d, seed):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) * (1 + seed) + 2 * seed


def task(measures, report=lambda fraction: None, **options):
    spec = SlicedWassersteinBarycenter.of(measures, **options)
    return Task(spec, spec.arrays(), report)


def barycenter(measures, **options):
    """What the job answers."""
    job = task(measures, **options)
    (answer,) = op.run([job], cpu())
    return job.spec.answer(answer.array(), answer.facts)


def mean_quantiles(measures, shares, n):
    """Of measures on a line, uniform: the mean over each of n equal parts of all levels."""
    fine = n * np.lcm.reduce([len(measure) for measure in measures])
    quantiles = [np.repeat(np.sort(measure[:, 0]), fine // len(measure)) for measure in measures]
    return np.average(quantiles, axis=0, weights=shares).reshape(n, -1).mean(axis=1)


@pytest.mark.parametrize("directions", ["fixed", "fresh"])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_iterations_are_the_formula(d, directions):
    measures = [cloud(6, d, 0), cloud(4, d, 1), cloud(5, d, 2)]
    options = {
        "weights": [np.full(6, 1 / 6), np.array([0.25, 0.5, 0.0, 0.25]), np.full(5, 0.2)],
        "shares": (0.5, 0.25, 0.25),
        "n_points": 7,
        "n_projections": 9,
        "n_iterations": 3,
        "tolerance": 0.0,
        "step_size": 0.7,
        "directions": directions,
    }
    expected = op.reference((job := task(measures, **options)).spec, job.arrays)
    np.testing.assert_allclose(barycenter(measures, **options).points, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("directions", ["fixed", "fresh"])
@pytest.mark.parametrize("d", [2, 3, 6])
def test_of_translates_it_is_the_mean_translate(d, directions):
    """With many directions: few ones leave more local minima."""
    base, shifts, shares = cloud(10, d, 0), np.random.default_rng(d).normal(size=(3, d)) * 4, (0.5, 0.3, 0.2)
    measures = [base + shift for shift in shifts]
    got = barycenter(measures, shares=shares, directions=directions, n_iterations=200, n_projections=400)
    mean = shares @ shifts
    assert got.converged
    assert squared_w2(got.points, base + mean) < 1e-20
    # |shift|^2 / d from each, as between all translates.
    least = shares @ np.square(shifts - mean).sum(axis=1) / d
    assert got.objective[-1] == pytest.approx(least, rel=1e-10)


@pytest.mark.parametrize(("sizes", "n"), [((6, 6), 6), ((4, 6, 3), 12), ((5, 7), 4)])
def test_on_a_line_it_has_the_mean_of_the_quantiles_after_one_step(sizes, n):
    measures = [cloud(size, 1, seed) for seed, size in enumerate(sizes)]
    shares = np.arange(1.0, 1 + len(sizes)) / sum(range(1, 1 + len(sizes)))
    got = barycenter(measures, shares=shares, n_points=n)
    np.testing.assert_allclose(np.sort(got.points[:, 0]), mean_quantiles(measures, shares, n), rtol=1e-12)
    assert len(got.objective) == 3  # the second iteration finds nothing to move
    assert got.converged


@pytest.mark.parametrize("directions", ["fixed", "fresh"])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_a_measure_that_counts_alone_is_the_barycenter(d, directions):
    first, other = cloud(9, d, 0), cloud(4, d, 3)
    got = barycenter([first, other], shares=(1.0, 0.0), n_points=9, directions=directions, n_iterations=200)
    assert squared_w2(got.points, first) < 1e-20
    assert got.objective[-1] < 1e-20


@pytest.mark.parametrize("step_size", [1.0, 0.4])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_with_fixed_directions_the_objective_never_grows(d, step_size):
    measures = [cloud(12, d, 0), cloud(20, d, 1), cloud(7, d, 2)]
    objective = barycenter(measures, n_points=15, n_projections=12, step_size=step_size).objective
    assert all(after <= before * (1 + 1e-14) for before, after in zip(objective, objective[1:], strict=False))
    assert objective[-1] < objective[0]


@pytest.mark.parametrize("d", [2, 3, 5])
def test_fresh_directions_are_others_in_every_iteration_and_fixed_ones_the_same(d):
    for directions, distinct in (("fixed", 1), ("fresh", 3)):
        spec = task([cloud(3, d, 0), cloud(3, d, 1)], directions=directions).spec
        drawn = [op.directions_of(spec, d, iteration).rows.tobytes() for iteration in range(3)]
        assert len(set(drawn)) == distinct


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 4, 50])
def test_directions_make_the_step_newtons(d, n):
    rows, weights, _ = op.directions_of(task([cloud(3, d, 0), cloud(3, d, 1)], n_projections=n).spec, d, 0)
    np.testing.assert_allclose((weights * rows.T) @ rows, np.eye(d) / d, atol=1e-14)


def test_it_begins_at_the_start():
    measures, start = [cloud(5, 2, 0), cloud(5, 2, 1)], cloud(4, 2, 3)
    got = barycenter(measures, start=start, step_size=1e-12, n_iterations=1)
    np.testing.assert_allclose(got.points, start, rtol=1e-9)
    np.testing.assert_array_equal(start, cloud(4, 2, 3))


def test_a_start_that_is_drawn_is_made_of_the_measures():
    job = task([np.full((5, 2), 1.0), np.full((3, 2), 5.0)], shares=(0.25, 0.75), n_points=6)
    np.testing.assert_allclose(op.start_of(job.spec, job.arrays), np.full((6, 2), 4.0))


def test_normalized_weights_and_shares_are_those_divided_by_their_sums():
    measures = [cloud(3, 2, 0), cloud(2, 2, 1)]
    given = barycenter(measures, weights=[[1, 2, 1], [3, 3]], shares=(1.0, 3.0), normalize=True, n_iterations=2)
    divided = barycenter(measures, weights=[[0.25, 0.5, 0.25], [0.5, 0.5]], shares=(0.25, 0.75), n_iterations=2)
    np.testing.assert_allclose(given.points, divided.points, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(d, dtype):
    make = partial(barycenter, [cloud(20, d, 0), cloud(30, d, 1)], dtype=dtype, n_iterations=3)
    np.testing.assert_array_equal(make(seed=5).points, make(seed=5).points, strict=True)
    assert (make(seed=5).points != make(seed=6).points).any()
    assert make().points.dtype == dtype


def test_float32_is_the_same_to_its_precision():
    make = partial(barycenter, [cloud(40, 3, 0), cloud(30, 3, 1)], n_iterations=3)
    single, double = make(dtype="float32").points, make().points
    np.testing.assert_allclose(single, double, atol=5e-6 * np.abs(double).max())


def test_points_beyond_all_range_are_refused():
    with pytest.raises(InvalidSpec, match="too far apart"):
        barycenter([np.full((2, 2), 1e200), np.full((2, 2), -1e200)])


def test_it_reports_its_progress_and_stops_when_it_is_cancelled():
    told = []

    def report(fraction):
        told.append(fraction)
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        op.run([task([cloud(5, 3, 0), cloud(5, 3, 1)], report, tolerance=0.0, n_iterations=9)], cpu())
    assert told == sorted(told)
    assert len(told) == 12


def test_the_answer_is_told_in_a_sentence_and_has_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    got = barycenter([cloud(5, 3, 0), cloud(5, 3, 1)], n_iterations=1)
    assert str(got).startswith("5 points, not yet at rest after 1 iterations")
    assert got.plot(tmp_path / "points.png").stat().st_size > 1_000
