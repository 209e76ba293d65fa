"""Private data sets and releases as the service describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mercer.points import PrivateReference
from mercer.privacy.terms import Terms

NAME_BYTES = 16
"""Of randomness in a name: nobody guesses one, and no two are equal."""


class Protection(BaseModel):
    """A private data set that is to be, and its terms."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Random, never derived from the data: whoever guessed these could confirm the guess. Drawn where it is left out;
    who gives it may send the request again."""
    terms: Terms


class PrivateDataset(BaseModel):
    """What anybody of the tenant may know of a private data set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    terms: Terms
    uploaded: bool
    """Whether its data are here."""
    spent_epsilon: float
    """The epsilon of all releases together, at the delta of the terms."""
    epsilon_left: float
    """The largest epsilon of one more release with pure noise."""
    mu_left: float
    """The largest mu, sensitivity over sigma, of one more release with Gaussian noise."""
    releases: int
    """How many were paid for."""

    @property
    def reference(self) -> PrivateReference:
        """It, as a field of a spec."""
        return PrivateReference(private=self.name)


class Spent(BaseModel):
    """One release that was paid for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    release: str
    """Its id."""
    kind: str
    """Of the job."""
    spender: str
    """The id of the API key; empty where none is asked for."""
    time: datetime
    epsilon: float | None = None
    """Of pure noise."""
    mu: float
    """As Gaussian differential privacy counts it."""


class Plan(BaseModel):
    """What a job would take, before anything runs or is spent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    flops: int
    bytes_in: int
    bytes_out: int
    peak_bytes: int
    epsilon: float | None = None
    """What a release with pure noise would cost."""
    mu: float | None = None
    """What a release would cost as Gaussian differential privacy counts it."""
    affordable: bool | None = None
    """Whether the budget of its private data set has as much left."""
    details: dict[str, Any] = {}
    """What the kind of job tells of its plan, such as the mechanism and the predicted error."""
