"""When u . v comes from BLAS."""

import numpy as np
import pytest

from gpu.cpu.expansion import expansions
from gpu.cpu.plan import PRODUCT_DIMENSIONS
from gpu.prepare import DOUBLE, SINGLE, program
from mercer import kernels as k
from tests.gpu.computing import points

D = PRODUCT_DIMENSIONS
SCALE = D**0.5


def taken(kernel, x, dtype=DOUBLE):
    return [expansion.leaf for expansion in expansions(program(kernel, x, None, dtype))]


@pytest.mark.parametrize(
    "kernel", [k.Gaussian(lengthscale=SCALE), k.Linear(), k.Matern(nu=1.5, lengthscale=SCALE)], ids=str
)
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
def test_a_product_is_taken_from_so_many_dimensions_on(kernel, dtype):
    assert taken(kernel, points(20, D), dtype) == [0]
    assert taken(kernel, points(20, D - 1), dtype) == []


def test_a_far_origin_is_no_reason_against_it():
    assert taken(k.Gaussian(lengthscale=SCALE), points(20, D) + 1e4) == [0]


def test_only_points_that_need_it_are_moved_to_their_mean():
    near, far = (program(k.Gaussian(lengthscale=SCALE), points(20, D) + shift, None, DOUBLE) for shift in (0, 1e4))
    assert expansions(near)[0].u is near.leaves[0].u
    assert abs(expansions(far)[0].u).max() < 10


def test_distant_clusters_are():
    x = points(20, D) + 1e3 * (np.arange(20) % 2)[:, None]
    assert taken(k.Gaussian(lengthscale=SCALE), x) == []
    assert taken(k.Linear(), x) == [0]


def test_bases_that_are_no_products_are_left_out():
    assert taken(k.LaplacianL1() + k.Linear() + k.Periodic(), points(20, D)) == [1]


def test_a_function_that_is_steep_at_0_has_its_small_distances_summed_again():
    (expansion,) = expansions(program(k.Exponential(lengthscale=SCALE), points(20, D), None, DOUBLE))
    assert 0 < expansion.cut < 0.1


def test_a_smooth_function_has_not():
    (expansion,) = expansions(program(k.Gaussian(lengthscale=SCALE), points(20, D), None, DOUBLE))
    assert expansion.cut < 0
