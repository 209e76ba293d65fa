"""What every job spec has: a kind, a batch key, a cost, and its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from mercer.arrays import ArrayInfo
from mercer.points import ArrayReference
from mercer.privacy.accounting import Loss


class Cost(NamedTuple):
    """What a job needs, from its shapes alone. Python integers: no shape overflows them."""

    flops: int
    bytes_in: int
    bytes_out: int
    peak_bytes: int
    """Resident memory of the worker while it runs the job, beyond its inputs."""


class Spec(BaseModel):
    """A job, complete: kind, parameters and arrays. The same spec gives the same answer on any worker."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: str
    releases: ClassVar[bool] = False
    """Whether its result is a private release: paid for once, drawn once and published once. Such a kind has a field
    `release_id`, which the service sets."""
    examples: ClassVar[tuple[dict[str, Any], ...]]

    def arrays(self) -> dict[str, ArrayReference]:
        """The arrays it reads, by field name; absent ones are left out."""
        raise TypeError(f"{type(self).__name__} does not say which arrays it reads")

    def needs_minima(self) -> bool:
        """Whether `check` looks at the arrays' smallest numbers, and not at their shapes alone: those of weights."""
        return any(name.endswith("weights") for name in self.arrays())

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """Compare the parameters with the arrays' shapes.

        Args:
            infos: What `arrays()` resolved to, by field name; with their minima where `needs_minima`.

        Raises:
            InvalidSpec: a parameter does not fit the arrays; its `errors` name the fields.
        """

    def plan(self, infos: Mapping[str, ArrayInfo]) -> dict[str, Any]:
        """What is to be told of how it would be computed, from shapes and public terms alone."""
        return {}

    def privacy_loss(self, infos: Mapping[str, ArrayInfo]) -> Loss:
        """What a release costs, from the request and the public terms alone."""
        raise TypeError(f"{type(self).__name__} releases nothing")

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> Any:
        """What `JobHandle.result()` gives: the array itself, unless the kind has more to tell.

        Args:
            array: The result's numbers.
            facts: What the operation told of them: mercer.jobs.Result.facts.
        """
        return array

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Equal for jobs that may share a launch."""
        raise TypeError(f"{type(self).__name__} has no batch key")

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """What it needs, before anything runs."""
        raise TypeError(f"{type(self).__name__} has no cost")
