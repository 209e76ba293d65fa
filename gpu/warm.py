"""What a worker does before it says that it is ready: compile, or load what was compiled before."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from gpu.device import Device
from gpu.ops import gram
from gpu.task import Task
from mercer import kernels as k
from mercer.specs.gram import Gram

EXPRESSION = 0.5 * k.Gaussian() + k.Matern(nu=1.2) * k.White() ** 2
"""Meets every instruction; the CPU's compiled code has all families at once."""


def warm(device: Device) -> None:
    """Compile or load everything that a job may need, by running jobs of every kind; on CUDA also each family."""
    for spec in _specs(device):
        x = np.linspace(0.0, 1.0, 12).reshape(6, 2)
        for answer in gram.run([Task(spec, {"x": x})], device):
            answer.array()
    # What was made until now stays until the end: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()


def _specs(device: Device) -> list[Gram]:
    x = np.zeros((6, 2))
    kernels: list[Any] = [EXPRESSION]
    if device.is_cuda:
        kernels += [family.model_validate({}) for family in k.FAMILIES.values()]
    both = [Gram(kernel=kernel, x=x, dtype=dtype) for kernel in kernels for dtype in ("float32", "float64")]
    others = [Gram(kernel=EXPRESSION, x=x, diagonal_only=True, dtype=dtype) for dtype in ("float32", "float64")]
    return [*both, *others, Gram(kernel=EXPRESSION, x=x, centre=True)]
