"""Jobs to be interrupted."""

import numpy as np

import mercer
from mercer.kernels import Gaussian


def points(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def small(number):
    """Jobs of which no two are equal, with results in their records."""
    return [mercer.Gram(kernel=Gaussian(lengthscale=1.0 + n), x=points(20, 3)) for n in range(number)]


def medium(number):
    """Jobs of which no two are equal, with results in the store: a batch of them takes a tenth of a second."""
    return [mercer.Gram(kernel=Gaussian(lengthscale=1.0 + n), x=points(300, 3)) for n in range(number)]


def long(n=6_000):
    """A job of several panels that computes for half a second or more; its diagonal is 16."""
    kernel = sum((Gaussian(lengthscale=1.0 + i / 10) for i in range(1, 16)), Gaussian(lengthscale=1.0))
    return mercer.Gram(kernel=kernel, x=points(n, 32), dtype="float32")
