"""The emulator's device memory: every array lies between pages that may not be touched."""

import ctypes
import mmap
import weakref

import numpy as np

PAGE = mmap.PAGESIZE
GUARD = 2**28
"""Bytes on either side that may not be touched; far more than the defects that tests plant reach beyond an array."""
ALIGNMENT = 16
"""Bytes; an array whose size is a multiple ends exactly where the forbidden page begins."""
POISON = 0xFF
"""Every byte that nobody wrote: NaN as a float, -1 as an integer."""

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_libc = ctypes.CDLL(None, use_errno=True)
_MAP_FAILED = ctypes.c_void_p(-1).value
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Arena:
    """Device memory of a certain size."""

    def __init__(self, n_bytes: int) -> None:
        self.free = n_bytes
        """Bytes that are left."""
        self._blocks: dict[int, Block] = {}

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        """A poisoned array, whose memory is given back when nobody holds it any more."""
        n_bytes = size * dtype.itemsize
        if n_bytes > self.free:
            raise MemoryError(f"the emulated device has {self.free} bytes free, {n_bytes} were asked for")
        block = Block(n_bytes)
        self.free -= n_bytes
        self._blocks[block.start] = block
        memory = (ctypes.c_ubyte * n_bytes).from_address(block.start)
        weakref.finalize(memory, self._release, block.start, n_bytes)
        return np.frombuffer(memory, dtype)

    def block(self, array: np.ndarray) -> "Block | None":
        """Where the array lies; None when it is not in this arena."""
        return self._blocks.get(array.ctypes.data)

    def _release(self, start: int, n_bytes: int) -> None:
        self.free += n_bytes
        self._blocks.pop(start).unmap()


class Block:
    """One array's pages, between forbidden ones."""

    def __init__(self, n_bytes: int) -> None:
        inner = max(-(-n_bytes // PAGE), 1) * PAGE
        self._length = inner + 2 * GUARD
        self._base = _libc.mmap(None, self._length, 0, _FLAGS, -1, 0)
        if self._base == _MAP_FAILED:
            raise OSError(ctypes.get_errno(), f"{self._length} bytes could not be mapped")
        _libc.mprotect(self._base + GUARD, inner, mmap.PROT_READ | mmap.PROT_WRITE)
        ctypes.memset(self._base + GUARD, POISON, inner)
        self.start = self._base + GUARD + inner - -(-n_bytes // ALIGNMENT) * ALIGNMENT
        self.stop = self.start + n_bytes

    def unmap(self) -> None:
        _libc.munmap(self._base, self._length)

    def surrounds(self, address: int) -> bool:
        """Whether the address is in the block or in its forbidden pages."""
        return self._base <= address < self._base + self._length

    def is_intact(self) -> bool:
        """Whether nobody wrote between the forbidden pages and the array."""
        before = ctypes.string_at(self._base + GUARD, self.start - self._base - GUARD)
        after = ctypes.string_at(self.stop, self._base + self._length - GUARD - self.stop)
        return not (before + after).strip(bytes([POISON]))
