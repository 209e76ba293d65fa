"""What a worker does before it says that it is ready: compile, or load what was compiled before."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic_core import to_json

from gpu.device import Device
from gpu.sliced.measures import Measure, pair
from gpu.sliced.slices import Slices, costs
from gpu.task import Task
from mercer import kernels as k
from mercer.arrays import DType
from mercer.points import PrivateReference, ReleaseReference
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs import KINDS, SPEC, Spec
from mercer.specs.gram import Gram

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's malloc.h."""

EXPRESSION = 0.5 * k.Gaussian() + k.Matern(nu=1.2) * k.White() ** 2
"""Meets every instruction; the CPU's compiled code has all families at once."""


DTYPES: tuple[DType, ...] = ("float32", "float64")
PUBLIC = Terms(
    epsilon=1.0, neighbours=Neighbours.CHANGE_ONE, domain=Box(low=(0.0, 0.0), high=(1.0, 1.0)), max_records=2
)
"""Of the two records that stand for private ones."""
LARGE = 520
"""Points whose matrix is computed by panels."""


def warm(device: Device) -> None:
    """Make this process ready to do nothing else but compute on a device."""
    load(device)
    # What was made until now stays until the end: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    _keep_freed_memory()


def preload(device: str) -> None:
    """Compile or load what a process needs that is forked from this one, and leave no thread behind.

    CUDA does not outlive a fork, and where it may be used there is nothing to do ahead.

    Args:
        device: Of the process: `cpu`, `cuda:0`, or `auto`.
    """
    if device == "cpu" or (device == "auto" and importlib.util.find_spec("cupy") is None):
        cpu = Device("cpu")
        load(cpu)
        cpu.threads.shutdown()
    gc.collect()
    gc.freeze()


def load(device: Device) -> None:
    """Compile or load everything that a job may need: every kind's examples, what they do not meet, CUDA's kernels."""
    if device.is_cuda:
        from gpu.cuda import sliced  # needs CuPy

        sliced.load()
    for spec in _specs(device):
        _run(spec, device)
    for kind in KINDS.values():
        for example in kind.examples:
            _run(SPEC.validate_json(to_json(example)), device)
    for dtype in DTYPES:
        costs(list(_slices(np.dtype(dtype))), Device("cpu"))  # which computes some kinds whatever the device


def _slices(dtype: np.dtype[Any]) -> Iterator[Slices]:
    """Without weights, with some, and with points of so many scales that short keys do not tell them apart."""
    even, directions = np.linspace(0.0, 1.0, 60)[:, None], np.ones((1, 1))
    for points in (even, 1e-30**even):
        for weights in (None, even[:, 0] / even.sum()):
            for other in (even, even[1:]):
                yield Slices(pair(Measure(points, weights), Measure(other), 2.0, dtype), directions)


def _run(spec: Spec, device: Device) -> None:
    """And read the answer; of nothing where the example asks a release, which has nothing compiled."""
    operation = importlib.import_module(f"gpu.ops.{spec.kind}")
    references = spec.arrays()
    if any(isinstance(reference, ReleaseReference) for reference in references.values()):
        return
    private = [name for name, reference in references.items() if isinstance(reference, PrivateReference)]
    arrays = {name: np.ones((2, 2)) if name in private else np.asarray(one) for name, one in references.items()}
    for answer in operation.run([Task(spec, arrays, about=dict.fromkeys(private, PUBLIC))], device):
        for _ in answer.blocks:
            pass


def _keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed arrays up to 32 MB; fresh pages from the kernel cost as much as preparing."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        set_option = ctypes.CDLL(None).mallopt
        set_option(M_MMAP_THRESHOLD, 32 * 2**20)
        set_option(M_TRIM_THRESHOLD, 128 * 2**20)


def _specs(device: Device) -> Iterator[Gram]:
    few, many = np.linspace(0.0, 1.0, 12).reshape(6, 2), np.linspace(0.0, 1.0, 2 * LARGE).reshape(LARGE, 2)
    families: list[Any] = [family.model_validate({}) for family in k.FAMILIES.values()] if device.is_cuda else []
    for dtype in DTYPES:
        for kernel in (EXPRESSION, *families):
            yield Gram(kernel=kernel, x=few, dtype=dtype)
        yield Gram(kernel=EXPRESSION, x=few, dtype=dtype, diagonal_only=True)
        yield Gram(kernel=EXPRESSION, x=few, dtype=dtype, normalise=True)
        yield Gram(kernel=EXPRESSION, x=few, dtype=dtype, centre=True)
        yield Gram(kernel=EXPRESSION, x=many, dtype=dtype)
