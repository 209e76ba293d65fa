"""The exact sum of bounded integer features over all records: the one number that noise is added to.

A record is put into the public box, its features are truncated toward zero to integers (which makes no |feature|
larger), the norm of each block of them is checked in integers and shrunk where it is too large, and int64 sums add up:
integers, so that every order, sharding and number of threads gives the same bits. How far one record can move the sum
is Blocks.l1 and Blocks.l2_squared, whatever the features' arithmetic did; docs/privacy.md has the proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from mercer.privacy.grid import Bounds, clean

Integers = np.ndarray[Any, np.dtype[np.int64]]

CHUNK = 2048
"""Records whose features are computed at once; memory is bounded by it, whatever their number."""
CHUNKS_AT_ONCE = 16
"""For each thread, between two reports."""


class Published(NamedTuple):
    """What a release consists of."""

    vector: Integers
    """The noisy numbers, and public ones after them."""
    facts: dict[str, Any]
    """Parameters that are known of the noisy numbers."""


class Room(Protocol):
    """What sums of features need."""

    @property
    def size(self) -> int:
        """Features of a record."""

    @property
    def max_records(self) -> int:
        """No sum of so many records overflows."""


class Summands(Protocol):
    """Integers of each record, with bounds of their norms."""

    @property
    def bounds(self) -> Bounds:
        """The public box of the records."""

    @property
    def blocks(self) -> Room:
        """How many features there are, and of how many records their sums may be."""

    def add(self, points: Floats, sums: Integers) -> None:
        """Add the integer features of clean points, (n, d), n <= CHUNK, to sums, (blocks.size,)."""


class Features(Summands, Protocol):
    """What is computed of each record, and what a release of it consists of."""

    def published(self, noisy: Integers) -> Published:
        """What a release consists of, by its noisy numbers and by what is public: post-processing."""


def exact_sums(
    features: Summands, points: Floats, device: Device, report: Callable[[float], None] = lambda fraction: None
) -> Integers:
    """The sums of all records' integer features.

    Args:
        features: What is computed of a record.
        points: (n, d), of any real dtype, with any values: see mercer.privacy.grid.clean.
        device: Its threads are used.
        report: Is told the progress between chunks, and may raise.

    Returns:
        (blocks.size,) int64.

    Raises:
        ValueError: there are more records than the sums have room for, 2^38 or more.
    """
    if len(points) > features.blocks.max_records:
        raise ValueError(f"Expected at most {features.blocks.max_records} records.")
    total = np.zeros(features.blocks.size, np.int64)
    step = CHUNK * CHUNKS_AT_ONCE * device.n_threads
    for start in range(0, len(points), step):
        parts = [points[first : first + CHUNK] for first in range(start, min(start + step, len(points)), CHUNK)]
        for sums in device.threads.map(lambda part: _sums(features, part), parts):
            total += sums
        report(min(1.0, (start + step) / len(points)))
    return total


def _sums(features: Summands, points: Floats) -> Integers:
    sums = np.zeros(features.blocks.size, np.int64)
    features.add(clean(features.bounds, points), sums)
    return sums
