"""Kernel sums of each class of private records: released once, under a budget, as a classifier for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError, InvalidSpec
from mercer.points import ArrayReference, PrivateField
from mercer.privacy.accounting import MOST_DELTA, MOST_EPSILON, Loss
from mercer.privacy.classifier import ClassifierRelease
from mercer.privacy.mechanisms import recipe_for
from mercer.privacy.recipe import Recipe, Request, loss_of
from mercer.privacy.terms import Box, Terms
from mercer.specs.base import Cost, Spec
from mercer.specs.private_density import (
    CHUNK_BYTES,
    MAX_FEATURES,
    DensityKernel,
    ReleaseId,
    check_kernel,
    checked,
    spectrum_of,
)
from mercer.specs.sliced import Seed

MAX_CLASSES = 1_000
MAX_NUMBERS = 2**22
"""Of a release: 32 MiB."""
NOISE_FLOPS = 2_000
"""To draw one number's noise."""

Classes = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    BeforeValidator(
        lambda given: tuple(np.asarray(given).tolist()) if isinstance(given, list | range | np.ndarray) else given
    ),
    Field(min_length=2, max_length=MAX_CLASSES),
]


class PrivateClassifier(Spec):
    """A classifier by the private kernel sums f_c(y) = sum_i [label_i = c] k(x_i, y) of each class c, released once.

    The released vector has for each class what a release of private_density has: sums of integer features, of the
    class's records alone, and their number, with noise. A record is in one class, so that all classes together cost
    what one does (parallel composition): the sensitivity of the whole vector is that of one class, for change_one too,
    where a record may leave one class for another. A point gets the class of the largest sum: Bayes' rule with a kernel
    density estimate (Parzen 1962) of each class and its share of the records as prior; or that of the largest mean.

    Records with other labels count nowhere. Labels are the box's, as all numbers of a record: those outside are moved
    to its border first.
    """

    releases: ClassVar[bool] = True

    kind: Literal["private_classifier"] = "private_classifier"
    x: PrivateField
    """The private data set; one of its columns holds labels."""
    label_column: Annotated[int, Field(ge=0)]
    """Index of the column of labels, from 0."""
    classes: Classes
    """The labels to tell apart, public, each within the domain; at most 1,000."""
    kernel: DensityKernel
    """A gaussian, exponential, laplacian_l1 or rational kernel function of all other columns."""
    epsilon: Annotated[float, Field(ge=1e-6, le=MOST_EPSILON)]
    """Privacy loss of this release, of all classes together."""
    delta: Annotated[float, Field(ge=0, le=float(MOST_DELTA))] = 0.0
    """0 for pure differential privacy and Laplace noise; above it Gaussian noise, with far smaller errors."""
    mechanism: Literal["auto", "fourier", "spectral"] = "auto"
    """As in private_density."""
    n_features: Annotated[int, Field(ge=1, le=MAX_FEATURES)] | None = None
    """As in private_density."""
    feature_seed: Seed = 0
    """Of the frequencies: public, and nothing to do with the noise."""
    release_id: ReleaseId | None = None
    """Set by the service."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "private_classifier",
            "x": {"private": "0" * 32},
            "label_column": 1,
            "classes": [0, 1],
            "kernel": {"family": "gaussian", "lengthscale": 0.2},
            "epsilon": 1.0,
            "delta": 1e-7,
        },
    )

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> ClassifierRelease:
        """The release: a classifier of any point."""
        return ClassifierRelease(array, dict(facts))

    def arrays(self) -> dict[str, ArrayReference]:
        """The private data set."""
        return {"x": self.x}

    def recipe(self, terms: Terms) -> Recipe:
        """What the sums of one class are made of; all classes together have its sensitivity.

        Raises:
            ValueError: the mechanism cannot do it.
        """
        spectrum, scale = spectrum_of(self.kernel)
        asked = (self.epsilon, self.delta, self.n_features, self.feature_seed)
        plain = terms.model_copy(update={"domain": self.points_box(terms.domain)})
        return recipe_for(self.mechanism, Request(spectrum, scale, *asked, plain))

    def points_box(self, domain: Box) -> Box:
        """The domain without labels."""
        column = self.label_column
        return Box(*(side[:column] + side[column + 1 :] for side in (domain.low, domain.high)))

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """Labels that records can have, lengthscales for every dimension, and noise that can be drawn.

        Raises:
            InvalidSpec: naming the field at fault.
        """
        terms: Terms = infos["x"].about
        domain, column = terms.domain, self.label_column
        if column >= domain.d or domain.d == 1:
            raise _unfit("label_column", f"expected one of the {domain.d} columns and another beside it, got {column}")
        if len(set(self.classes)) < len(self.classes):
            raise _unfit("classes", "expected each class once")
        low, high = domain.low[column], domain.high[column]
        if not all(low <= label <= high for label in self.classes):
            raise _unfit("classes", f"expected labels in [{low:g}, {high:g}], where the domain has column {column}")
        check_kernel(self.kernel, self.points_box(domain))
        size = len(self.classes) * checked(lambda: self.recipe(terms)).size
        if size > MAX_NUMBERS:
            raise _unfit("n_features", f"expected at most {MAX_NUMBERS} numbers of all classes together, got {size}")

    def privacy_loss(self, infos: Mapping[str, ArrayInfo]) -> Loss:
        """Of its noise: of one class, as a record is in one."""
        return loss_of(self.epsilon, self.delta)

    def plan(self, infos: Mapping[str, ArrayInfo]) -> dict[str, Any]:
        """The mechanism and its predicted errors."""
        recipe = self.recipe(infos["x"].about)
        return {
            "mechanism": recipe.name,
            "noise": "Gaussian" if self.delta else "Laplace",
            "size": len(self.classes) * recipe.size,
            "noise_error": recipe.noise_error,
            "count_error": recipe.count_error,
            "approximation_error_per_record": recipe.approximation_error_per_record,
        }

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """One for all: releases are made one by one."""
        return f"{self.kind}:release"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """By as many records as there may be, each of which is looked at by its class alone."""
        (n, d), recipe = infos["x"].shape, self.recipe(infos["x"].about)
        size = len(self.classes) * recipe.size
        flops = n * (recipe.flops_per_record + 4 * len(self.classes)) + NOISE_FLOPS * size
        return Cost(flops, 8 * d, 8 * size, CHUNK_BYTES + recipe.table_bytes + 64 * size)


def _unfit(name: str, detail: str) -> InvalidSpec:
    return InvalidSpec("The classes do not fit the data.", errors=(FieldError(f"/{name}", detail),))
