"""Sliced Wasserstein estimates on the CPU, as the tests ask for them."""

from functools import cache

import numpy as np

from gpu.device import Device
from gpu.ops import sliced_wasserstein as op
from gpu.task import Task
from mercer.arrays import info_of
from mercer.specs import SlicedWasserstein

P_AND_METHODS = [
    *((2.0, method) for method in ("auto", "mc", "lcv", "ucv", "centred", "gaussian_cv", "spherical_harmonics")),
    (2.0, "orthogonal"),
    *((1.0, method) for method in ("auto", "mc", "lcv", "ucv", "spherical_harmonics", "orthogonal")),
]


@cache
def cpu():
    return Device("cpu")


def task(x, y, **options):
    spec = SlicedWasserstein(x=x, y=y, **options)
    spec.check({name: info_of(array) for name, array in spec.arrays().items()})
    return Task(spec, spec.arrays())


def answers(tasks):
    return [SlicedWasserstein.answer(answer.array(), answer.facts) for answer in op.run(tasks, cpu())]


def estimate(x, y, **options):
    """What the job answers."""
    (answer,) = answers([task(x, y, **options)])
    return answer


def cloud(n, d, seed=0, shift=0.0, scale=1.0):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) * scale + shift


def weights(n, seed=0):
    drawn = np.random.default_rng([seed, n]).uniform(0.1, 1, n)
    return drawn / drawn.sum()


def units(count, d, seed=0):
    rows = np.random.default_rng([seed, count, d]).normal(size=(count, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
