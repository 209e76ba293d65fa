"""Random words that nobody can draw again: the only source of private noise."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Words = np.ndarray[Any, np.dtype[np.uint64]]
Source = Callable[[int], Words]
"""n -> (n,) independent uniform words, new ones at every call."""

BLOCK_BYTES = 16
KEY_BYTES = 32


def secret_words() -> Source:
    """A stream of its own: AES-256 in counter mode (NIST SP 800-38A, 6.5) under a key of the operating system.

    The key is in the cipher's state alone and goes with it; there is no way to set it or to read it.
    """
    encryptor = Cipher(algorithms.AES(os.urandom(KEY_BYTES)), modes.CTR(bytes(BLOCK_BYTES))).encryptor()
    zeros = np.zeros(0, np.uint8)

    def words(n: int) -> Words:
        nonlocal zeros
        if len(zeros) < 8 * n:
            zeros = np.zeros(8 * n, np.uint8)
        out = np.empty(8 * n + BLOCK_BYTES, np.uint8)
        encryptor.update_into(zeros[: 8 * n].data, out.data)
        return out[: 8 * n].view("<u8").astype(np.uint64, copy=False)

    return words
