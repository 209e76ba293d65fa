"""Gram matrices on the CPU, as the tests ask for them."""

from functools import cache

import numpy as np

from gpu.device import Device
from gpu.ops import gram as op
from gpu.task import Task
from mercer.specs.gram import Gram

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
"""Of each entry, relative to the largest |k| that the function takes on the points."""


@cache
def cpu():
    return Device("cpu")


def task(kernel, x, y=None, **options):
    spec = Gram(kernel=kernel, x=x, y=y, **options)
    return Task(spec, {"x": x} if y is None else {"x": x, "y": y})


def compute(kernel, x, y=None, **options):
    """What the job answers."""
    (answer,) = op.run([task(kernel, x, y, **options)], cpu())
    return answer.array()


def reference(kernel, x, y=None, **options):
    """The formula in float64."""
    job = task(kernel, x, y, **options)
    return op.reference(job.spec, job.arrays)


def points(n, d, seed=0, *, positive=False):
    """Standard normal, or histograms with zeros in them."""
    random = np.random.default_rng([seed, n, d])
    if positive:
        return random.uniform(0, 1, (n, d)) * random.integers(0, 2, (n, d))
    return random.normal(size=(n, d))
