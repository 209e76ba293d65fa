"""A CUDA device made of the emulator: what gpu.cuda.gram drives in tests."""

import ctypes
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpu.cuda import loader
from tests.emulator.arena import Arena
from tests.emulator.build import library

ORDERS = ("forward", "reverse", "random", "greedy")
"""In which threads run between barriers: enum Order of cuda_on_cpu.h."""


class Fault(Exception):
    """What the emulator says of a kernel that does what it must not."""


class _Launch(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("order", ctypes.c_int),
        ("seed", ctypes.c_ulonglong),
        ("stacks", ctypes.c_void_p),
    )


_stacks = ctypes.c_void_p()
"""Of a block's threads, in every kernel's library: made by the first launch."""


class EmulatedDevice:
    """A `gpu.cuda.backend.Backend`.

    Args:
        order: One of ORDERS.
        seed: Of the random choices.
        edits: Text to replace in the source, to plant a defect.
        n_bytes: Of device memory.
    """

    def __init__(
        self, order: str = "forward", seed: int = 0, edits: Sequence[tuple[str, str]] = (), n_bytes: int = 2**32
    ):
        self._order, self._seed, self._edits = ORDERS.index(order), seed, edits
        self._arena = Arena(n_bytes)
        self.launches: list[str] = []
        """The instances that ran."""

    def put(self, array: np.ndarray) -> np.ndarray:
        out = self._arena.empty(array.size, array.dtype)
        out[:] = array.reshape(-1)
        return out

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        return self._arena.empty(size, np.dtype(dtype))

    def get(self, array: np.ndarray) -> np.ndarray:
        return array.copy()

    def free(self) -> int:
        return self._arena.free

    def sort(self, keys: np.ndarray) -> None:
        keys.sort()

    def argsort(self, keys: np.ndarray) -> np.ndarray:
        return self.put(keys.argsort(kind="stable"))

    def launch(self, file: str, expression: str, n_blocks: int, n_threads: int, arguments: Sequence[Any]) -> None:
        signature = loader.signature(file, expression)
        loader.check(signature, arguments)
        built = library(self._source(file), expression)
        if (compiled := built.signature().decode()) != ", ".join(signature):
            raise Fault(f"the kernel's parameters are {compiled}, the loader reads {', '.join(signature)}")
        self.launches.append(expression)
        self.run(built, (n_blocks, 1, 1), (n_threads, 1, 1), arguments)

    def run(self, built: ctypes.CDLL, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any]) -> None:
        """Runs a built kernel; raises Fault for what it must not do."""
        values = [np.array(a.ctypes.data, "u8") if isinstance(a, np.ndarray) else np.array(a) for a in arguments]
        for position, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray) and self._arena.block(argument) is None:
                raise Fault(f"argument {position} is not in the device's memory")
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        launch = _Launch(grid, block, self._order, self._seed, ctypes.addressof(_stacks))
        message = built.run(ctypes.byref(launch), pointers).decode()
        if message:
            raise Fault(self._with_argument(message, arguments))
        for position, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray) and not self._arena.block(argument).is_intact():
                raise Fault(f"written outside of argument {position}")

    def _source(self, file: str) -> str:
        text = loader.source(file)
        for old, new in self._edits:
            if text.count(old) != 1:
                raise ValueError(f"expected one place in {file} that says {old!r}, got {text.count(old)}")
            text = text.replace(old, new)
        return text

    def _with_argument(self, message: str, arguments: Sequence[Any]) -> str:
        """Names the array that a bad address is next to."""
        if (found := re.search(r"out of bounds at 0x([0-9a-f]+)", message)) is None:
            return message
        address = int(found[1], 16)
        for position, argument in enumerate(arguments):
            block = self._arena.block(argument) if isinstance(argument, np.ndarray) else None
            if block is not None and block.surrounds(address):
                return f"{message}: argument {position}, {address - block.stop} bytes after its end"
        return message
