"""Every kernel function as its docstring has it, in plain NumPy float64: the truth in the tests.

Nothing is shared with the fast paths; memory is n m d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import gammaln, kve

from gpu.leaves import Floats
from mercer import kernels as k
from mercer.kernels import Family, KernelFunction


def matrix(kernel: KernelFunction, x: Floats, y: Floats | None) -> Floats:
    """K[i, j] = k(x_i, y_j), shape (n, m); y absent for K(x, x)."""
    match kernel:
        case k.Sum():
            return np.sum([matrix(term, x, y) for term in kernel.terms], axis=0)
        case k.Product():
            return np.prod([matrix(factor, x, y) for factor in kernel.factors], axis=0)
        case k.Scale():
            return kernel.factor * matrix(kernel.kernel, x, y)
        case k.Power():
            return matrix(kernel.kernel, x, y) ** kernel.exponent
        case k.White():
            return kernel.variance * np.eye(len(x)) if y is None else np.zeros((len(x), len(y)))
        case Family():
            x, y = _active(kernel, x), _active(kernel, x if y is None else y)
            return FORMULAS[kernel.family](kernel, x, y)
    raise TypeError(f"no formula for {type(kernel).__name__}")


def _active(kernel: Family, points: Floats) -> Floats:
    return points if kernel.active_dimensions is None else points[:, list(kernel.active_dimensions)]


def _s(kernel: Any, x: Floats, y: Floats) -> Floats:
    """s, s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2."""
    return np.linalg.norm(_difference(x, y) / np.asarray(kernel.lengthscale or 1.0), axis=-1)


def _difference(x: Floats, y: Floats) -> Floats:
    return x[:, None, :] - y[None, :, :]


def _gaussian(kernel: k.Gaussian, x: Floats, y: Floats) -> Floats:
    if kernel.gamma is not None:
        return np.exp(-kernel.gamma * (_difference(x, y) ** 2).sum(-1))
    return np.exp(-(_s(kernel, x, y) ** 2) / 2)


def _laplacian_l1(kernel: k.LaplacianL1, x: Floats, y: Floats) -> Floats:
    scale = kernel.gamma if kernel.gamma is not None else 1 / np.asarray(kernel.lengthscale or 1.0)
    return np.exp(-(np.abs(_difference(x, y)) * scale).sum(-1))


def _exponential(kernel: k.Exponential, x: Floats, y: Floats) -> Floats:
    return np.exp(-_s(kernel, x, y))


def _matern(kernel: k.Matern, x: Floats, y: Floats) -> Floats:
    a, nu = np.sqrt(2 * kernel.nu) * _s(kernel, x, y), kernel.nu
    with np.errstate(divide="ignore", invalid="ignore"):
        log_k = (1 - nu) * np.log(2) - gammaln(nu) + nu * np.log(a) + np.log(kve(nu, a)) - a
    return np.where(a == 0, 1.0, np.exp(log_k))


def _rational_quadratic(kernel: k.RationalQuadratic, x: Floats, y: Floats) -> Floats:
    return (1 + _s(kernel, x, y) ** 2 / (2 * kernel.alpha)) ** -kernel.alpha


def _periodic(kernel: k.Periodic, x: Floats, y: Floats) -> Floats:
    sine = np.sin(np.pi * _difference(x, y) / np.asarray(kernel.period)) / np.asarray(kernel.lengthscale)
    return np.exp(-2 * (sine**2).sum(-1))


def _cosine(kernel: k.Cosine, x: Floats, y: Floats) -> Floats:
    norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    return np.divide(x @ y.T, norms, out=np.zeros_like(norms), where=norms > 0)


def _linear(kernel: k.Linear, x: Floats, y: Floats) -> Floats:
    return x @ y.T + kernel.offset


def _polynomial(kernel: k.Polynomial, x: Floats, y: Floats) -> Floats:
    return (kernel.gamma * x @ y.T + kernel.offset) ** kernel.degree


def _sigmoid(kernel: k.Sigmoid, x: Floats, y: Floats) -> Floats:
    return np.tanh(kernel.gamma * x @ y.T + kernel.offset)


def _arc_cosine(kernel: k.ArcCosine, x: Floats, y: Floats) -> Floats:
    lengths, widths = np.linalg.norm(x, axis=1)[:, None], np.linalg.norm(y, axis=1)[:, None]
    u, v = (
        np.where(lengths > 0, x / np.where(lengths > 0, lengths, 1), 0),
        np.where(widths > 0, y / np.where(widths > 0, widths, 1), 0),
    )
    # Kahan's angle: arccos(u . v) loses half of the digits of small angles, and of those near pi.
    theta = 2 * np.arctan2(np.linalg.norm(u[:, None] - v, axis=-1), np.linalg.norm(u[:, None] + v, axis=-1))
    theta = np.where((lengths > 0) & (widths.T > 0), theta, np.pi / 2)
    sine, cosine, rest = np.sin(theta), np.cos(theta), np.pi - theta
    j = (rest, sine + rest * cosine, 3 * sine * cosine + rest * (1 + 2 * cosine**2))[kernel.order]
    return (lengths * widths.T) ** kernel.order * j / np.pi


def _additive_chi2(kernel: k.AdditiveChi2, x: Floats, y: Floats) -> Floats:
    total = x[:, None, :] + y[None, :, :]
    return -np.divide(_difference(x, y) ** 2, total, out=np.zeros_like(total), where=total > 0).sum(-1)


def _chi2(kernel: k.Chi2, x: Floats, y: Floats) -> Floats:
    return np.exp(kernel.gamma * _additive_chi2(k.AdditiveChi2(), x, y))


def _constant(kernel: k.Constant, x: Floats, y: Floats) -> Floats:
    return np.full((len(x), len(y)), kernel.value)


FORMULAS: dict[str, Callable[[Any, Floats, Floats], Floats]] = {
    "gaussian": _gaussian,
    "laplacian_l1": _laplacian_l1,
    "exponential": _exponential,
    "matern": _matern,
    "rational_quadratic": _rational_quadratic,
    "periodic": _periodic,
    "cosine": _cosine,
    "linear": _linear,
    "polynomial": _polynomial,
    "sigmoid": _sigmoid,
    "arc_cosine": _arc_cosine,
    "additive_chi2": _additive_chi2,
    "chi2": _chi2,
    "constant": _constant,
}
