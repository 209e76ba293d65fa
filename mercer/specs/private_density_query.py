"""Questions to a release: they cost nothing and see no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError, InvalidSpec
from mercer.points import ArrayReference, PointsField, ReleaseField
from mercer.privacy.releases import KINDS, Answer
from mercer.specs.base import Cost, Spec


class PrivateDensityQuery(Spec):
    """Estimates of f(y) = sum_i k(x_i, y) or sum_i dist(x_i, y) at points y, or of f for each class, from any release.

    The result has the rows [sum, mean, noise error of the sum, approximation error of the sum], shape (n, 4), mean =
    sum / number of records as released: see mercer.privacy.density.DensityAnswer. Of a private_classifier with K
    classes it has the K sums, their approximation errors, and the noise error of each: ClassifierAnswer, which tells
    the class of each point. Post-processing of the release: it costs no privacy (Dwork and Roth, The algorithmic
    foundations of differential privacy (2014), proposition 2.1), and gives the bits that the release gives by itself.
    """

    kind: Literal["private_density_query"] = "private_density_query"
    release: ReleaseField
    """The id of a release."""
    points: PointsField
    """Where to ask, shape (n, d)."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "private_density_query",
            "release": {"release": "0" * 32},
            "points": [[0.5, 0.5], [0.1, 0.9]],
        },
    )

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> Answer:
        """The sums with their errors."""
        return KINDS[facts["of"]].answer(array, facts)

    def arrays(self) -> dict[str, ArrayReference]:
        """The release and the points."""
        return {"release": self.release, "points": self.points}

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """A release that answers, and points of its dimensions.

        Raises:
            InvalidSpec: naming the field at fault.
        """
        about, d = infos["release"].about, infos["points"].shape[1]
        if about.get("kind") not in KINDS:
            detail = f"expected a release of {' or '.join(KINDS)}, got one of {about.get('kind')}"
            raise InvalidSpec("The release does not fit.", errors=(FieldError("/release", detail),))
        if d != (wanted := len(about["box"]["low"])):
            detail = f"expected shape (n, {wanted}) as the release has, got {infos['points'].shape}"
            raise InvalidSpec("The points do not fit.", errors=(FieldError("/points", detail),))

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Any may share a batch."""
        return f"{self.kind}:query"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """The features of the points, some at a time."""
        (n, d), release = infos["points"].shape, infos["release"]
        flops, working = KINDS[release.about["kind"]].query_cost(release.about, n)
        columns = 2 * len(release.about["classes"]) + 1 if "classes" in release.about else 4
        return Cost(flops, 8 * (n * d + release.shape[0]), 8 * n * columns, working)
