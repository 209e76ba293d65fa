"""Kernel expressions on a CUDA device, prepared by gpu/prepare.py, are what their specs say."""

import numpy as np
import pytest

from gpu.cuda import gram
from gpu.cuda.backend import CudaDevice
from gpu.ops.gram import reference
from gpu.prepare import program
from mercer import kernels as k
from mercer.specs.gram import Gram
from tests.emulator.emulated import EmulatedDevice
from tests.gpu.cuda.programs import LEAVES

DEVICES = {"emulated": EmulatedDevice, "cuda": CudaDevice}
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
"""Relative to the largest entry."""

EXAMPLES = [
    pytest.param(family(**example), id=f"{name} {number}")
    for name, family in k.FAMILIES.items()
    for number, example in enumerate(family.examples)
]


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    return DEVICES[request.param]()


def points(n, kernel, offset=0.0):
    x = np.random.default_rng(n).normal(size=(n, 3)) + offset
    return np.abs(x) if kernel.non_negative_inputs else x


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("m", [None, 9])
@pytest.mark.parametrize("kernel", EXAMPLES)
def test_every_family_is_its_formula(kernel, m, dtype, device):
    x, y = points(66, kernel), None if m is None else points(m, kernel)
    (computed,) = gram.evaluate([program(kernel, x, y, np.dtype(dtype))], np.dtype(dtype), device)
    truth = reference(Gram(kernel=kernel, x=x, y=y), {"x": x} if y is None else {"x": x, "y": y})
    assert np.abs(computed - truth).max() <= TOLERANCE[dtype] * np.abs(truth).max()


@pytest.mark.parametrize("kernel", EXAMPLES)
def test_the_leaves_that_are_tested_are_all_that_are_made(kernel):
    made = program(kernel, points(4, kernel), None, np.dtype("float64")).leaves
    assert {(leaf.base, leaf.function) for leaf in made} <= set(LEAVES)


@pytest.mark.parametrize("kernel", [k.ArcCosine(order=0), 2.0 * k.ArcCosine(order=0)], ids=str)
def test_nearly_opposite_vectors_keep_their_angle(kernel, device):
    x = np.random.default_rng(0).normal(size=(5, 3))
    y = 1e-7 * np.random.default_rng(1).normal(size=(5, 3)) - x
    (computed,) = gram.evaluate([program(kernel, x, y, np.dtype("float64"))], np.dtype("float64"), device)
    truth = reference(Gram(kernel=kernel, x=x, y=y), {"x": x, "y": y})
    np.testing.assert_allclose(computed, truth, rtol=1e-6, atol=1e-15)
