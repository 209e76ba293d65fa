"""Features of records with labels: those of a mechanism, added to the sums of the record's class alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gpu.leaves import Floats
from gpu.private.pipeline import Features, Integers
from mercer.privacy.grid import Bounds


class Sizes(NamedTuple):
    """Of the sums of all classes."""

    size: int
    max_records: int


@dataclass(frozen=True)
class ClassSums:
    """The features' sums of each class, and a constant's; a record whose label is no class adds nothing."""

    bounds: Bounds
    """The public box of the records, labels included."""
    of_a_class: Features
    count_norm: int
    """The constant."""
    label_column: int
    classes: tuple[float, ...]

    @property
    def blocks(self) -> Sizes:
        """As Summands."""
        one = self.of_a_class.blocks
        return Sizes(len(self.classes) * (one.size + 1), min(one.max_records, (2**62 - 1) // self.count_norm))

    def add(self, points: Floats, sums: Integers) -> None:
        """As Summands."""
        labels, plain = points[:, self.label_column], np.delete(points, self.label_column, axis=1)
        for label, part in zip(self.classes, sums.reshape(len(self.classes), -1), strict=True):
            chosen = np.ascontiguousarray(plain[labels == label])
            self.of_a_class.add(chosen, part[:-1])
            part[-1] += len(chosen) * self.count_norm
