"""What is asked of a release of distances: public, and all that its mechanism needs to be made again anywhere."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mercer.privacy.terms import Box, Neighbours

Distance = Literal["l1", "l2", "l2_squared", "lp_p"]
Mechanism = Literal["spectral", "moments", "tree", "tree_rings"]


@dataclass(frozen=True)
class Request:
    """Sums of distances to the records of a box, by one mechanism."""

    distance: Distance
    p: float
    """The power of differences: 1 for l1 and l2, 2 for l2_squared."""
    mechanism: Mechanism
    low: tuple[float, ...]
    high: tuple[float, ...]
    neighbours: Neighbours
    max_records: int
    epsilon: float
    delta: float
    """0: Laplace noise, and pure differential privacy."""
    cells: int
    """Of the grid on each axis, a power of two; 1 where there is no grid."""
    n_directions: int
    """Of slices, for l2."""
    direction_seed: int
    alpha: float
    """Of the rings: one is 1 + alpha times as wide as the next."""
    consistent: bool
    """Whether the nodes of the trees are made consistent."""

    @property
    def sides(self) -> tuple[float, ...]:
        """Of the box."""
        return tuple(high - low for low, high in zip(self.low, self.high, strict=True))

    def parameters(self) -> dict[str, Any]:
        """As JSON has it."""
        known = asdict(self)
        low, high = known.pop("low"), known.pop("high")
        return known | {"neighbours": self.neighbours.value, "box": {"low": list(low), "high": list(high)}}

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Request:
        """Of what `parameters` gave, and anything beside it.

        Raises:
            KeyError, TypeError, ValueError: it is not whole.
        """
        box = Box(**parameters["box"])
        names = (name for name in cls.__dataclass_fields__ if name not in ("low", "high", "neighbours"))
        given = {name: parameters[name] for name in names}
        return cls(low=box.low, high=box.high, neighbours=Neighbours(parameters["neighbours"]), **given)


def largest_distance(request: Request) -> float:
    """Between two corners of the box; infinite where float64 has no such number."""
    try:
        if request.distance == "l2":
            return math.hypot(*request.sides)
        return math.fsum(side**request.p for side in request.sides)
    except OverflowError:
        return math.inf
