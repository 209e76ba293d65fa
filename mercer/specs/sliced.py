"""What the specs of sliced Wasserstein jobs have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Order = Annotated[float, Field(ge=1)]
"""p of W_p; infinity is refused as every number that is not finite."""

Projections = Annotated[int, Field(ge=1, le=1_000_000)]
"""How many directions the measures are projected on."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""All randomness comes from it: the same spec and seed give the same directions on every worker."""

SMALL_PROJECTIONS = 2**24
"""Points times directions, about 0.1 s of one core; jobs up to this many share a launch."""
