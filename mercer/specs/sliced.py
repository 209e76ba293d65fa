"""What the specs of sliced Wasserstein jobs have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError
from mercer.points import ArrayReference
from mercer.specs.measures import given_of, misfits, refuse, same_dimension

Order = Annotated[float, Field(ge=1)]
"""p of W_p; infinity is refused as every number that is not finite."""

Projections = Annotated[int, Field(ge=1, le=1_000_000)]
"""How many directions the measures are projected on."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""All randomness comes from it: the same spec and seed give the same directions on every worker."""

SMALL_PROJECTIONS = 2**24
"""Points times directions, about 0.1 s of one core; jobs up to this many share a launch."""

SORT_FLOPS = 64
"""Of one number among thousands."""

BYTES_PER_PROJECTION = 32
"""The number itself, the same sorted, its place as it is sorted and as it is kept."""

WORKING_BYTES = 64 * 2**20
"""For the projections that are sorted together."""


def arrays_of(spec: Any) -> dict[str, ArrayReference]:
    """Both measures' points, and their weights where they are given."""
    return given_of(spec, "x", "y", "x_weights", "y_weights")


def measure_misfits(infos: Mapping[str, ArrayInfo]) -> Iterator[FieldError]:
    """Where the measures are not of one dimension, or the weights not those of the points."""
    yield from same_dimension(infos)
    yield from misfits(infos, "x", "x_weights")
    yield from misfits(infos, "y", "y_weights")


def check_measures(infos: Mapping[str, ArrayInfo]) -> None:
    """Whether they fit.

    Raises:
        InvalidSpec: they do not.
    """
    refuse(measure_misfits(infos), "The measures do not fit each other or their weights.")


def n_points(infos: Mapping[str, ArrayInfo]) -> int:
    """Of both measures."""
    return infos["x"].shape[0] + infos["y"].shape[0]


def projected(infos: Mapping[str, ArrayInfo], directions: int) -> int:
    """Numbers to sort."""
    return n_points(infos) * directions


def slicing_flops(infos: Mapping[str, ArrayInfo], directions: int, d: int) -> int:
    """Of projecting points of d coordinates on so many directions and sorting them."""
    return projected(infos, directions) * (2 * d + SORT_FLOPS)


def slicing_bytes(infos: Mapping[str, ArrayInfo], directions: int, d: int) -> int:
    """The most that is held meanwhile: some projections, the points as given, centred and cast, and the directions."""
    working = min(WORKING_BYTES, BYTES_PER_PROJECTION * projected(infos, directions))
    return working + 8 * (3 * n_points(infos) * (d + 1) + directions * (3 * d + 4))


def bytes_in(infos: Mapping[str, ArrayInfo]) -> int:
    """Of all arrays in float64."""
    return sum(8 * info.shape[0] * info.shape[1] for info in infos.values())


def size_class(infos: Mapping[str, ArrayInfo], directions: int) -> str:
    """Whether jobs share a launch."""
    return size_of(projected(infos, directions))


def size_of(work: int) -> str:
    """The same, of so many numbers to sort, or what takes as long."""
    return "small" if work <= SMALL_PROJECTIONS else "large"


def tupled(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts with what were lists in JSON as tuples."""
    return {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
