"""Kernel sums of private records: released once, under a budget, as a data structure that answers for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError, InvalidSpec
from mercer.kernels import Exponential, Gaussian, LaplacianL1
from mercer.kernels.parameters import PerDimension
from mercer.points import ArrayReference, PointsField, PrivateField
from mercer.privacy.accounting import MOST_DELTA, MOST_EPSILON, Loss
from mercer.privacy.density import DensityRelease
from mercer.privacy.fourier import Spectrum
from mercer.privacy.mechanisms import Mechanism, candidates, reason, recipe_for
from mercer.privacy.recipe import Recipe, Request, loss_of
from mercer.privacy.terms import Box, Terms
from mercer.specs.base import Cost, Spec
from mercer.specs.sliced import Seed

MAX_FEATURES = 2**14
"""Sums of 2^15 products of integers of 17 and 31 bits then fit 63 bits."""
STEPS = 4_096
"""Lengthscales are at least this part of the domain's sides: records are put on a grid of 2^20 steps, 256 of which are
then a lengthscale."""
NOTHING: Mapping[str, int] = MappingProxyType({})
CHUNK_BYTES = 2**26
"""Working memory, whatever the number of records."""


class Rational(BaseModel):
    """k(x, y) = 1 / (1 + s^2), 1 / (1 + s) or 1 / (1 + s_1), s and s_1 the l2 and l1 distances in lengthscales."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    family: Literal["rational"] = "rational"
    of: Literal["l2_squared", "l2", "l1"] = "l2_squared"
    lengthscale: PerDimension = 1.0


DensityKernel = Annotated[Gaussian | Exponential | LaplacianL1 | Rational, Field(discriminator="family")]
ReleaseId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def spectrum_of(kernel: Gaussian | Exponential | LaplacianL1 | Rational) -> tuple[Spectrum, Any]:
    """The name of its spectral measure, and its lengthscale."""
    if isinstance(kernel, Rational):
        return f"rational_{kernel.of}", kernel.lengthscale  # type: ignore[return-value]
    gamma = getattr(kernel, "gamma", None)
    if gamma is not None:
        return kernel.family, (2 * gamma) ** -0.5 if kernel.family == "gaussian" else 1 / gamma
    return kernel.family, 1.0 if kernel.lengthscale is None else kernel.lengthscale


class PrivateDensity(Spec):
    """Private kernel sums f(y) = sum_i k(x_i, y) for any y, released once with integer noise.

    The released vector is S = sum_i I(x_i) + noise, I(x) = trunc(a_j cos w_j x), trunc(a_j sin w_j x) for all j, and a
    constant for the number of records. f(y) is a weighted sum of S cos w_j y and S sin w_j y. `fourier` draws w_j from
    the kernel function's spectral measure by a public seed, with equal a_j; `spectral` takes the largest terms of the
    kernel function's Fourier series on a torus around the box, with the a_j whose noise is least. With delta = 0 the
    noise is discrete Laplace noise of scale L1 sensitivity / epsilon, and the release epsilon-differentially private;
    otherwise rounded Gaussian noise of the least sigma for (epsilon, delta).

    With public landmarks z_a the features are L^-1 (k(z_a, x))_a, L L^T = k(z_a, z_b) and a small multiple of I, and
    f(y) is estimated by their scalar product with the sums: exact at the landmarks but for noise. What the landmarks
    miss is measured at probes, at a share of the same cost, and told by the release: docs/privacy.md.

    Rahimi and Recht, Random features for large-scale kernel machines (2007); Wagner, Naamad and Mishra, Fast private
    kernel density estimation via locality sensitive quantization (2023); Balle and Wang (2018) for sigma; Hall,
    Rinaldo and Wasserman, Differential privacy for functions and functional data (2013); docs/privacy.md for the
    weights.
    """

    releases: ClassVar[bool] = True

    kind: Literal["private_density"] = "private_density"
    x: PrivateField
    """The private data set."""
    kernel: DensityKernel
    """A gaussian, exponential, laplacian_l1 or rational kernel function."""
    epsilon: Annotated[float, Field(ge=1e-6, le=MOST_EPSILON)]
    """Privacy loss of this release."""
    delta: Annotated[float, Field(ge=0, le=float(MOST_DELTA))] = 0.0
    """0 for pure differential privacy and Laplace noise; above it Gaussian noise, with far smaller errors."""
    mechanism: Mechanism = "auto"
    """fourier: random frequencies, for any kernel function and dimension; spectral: the weighted frequencies of a
    lattice, for up to 3 dimensions and a gaussian, laplacian_l1 or rational l1 kernel function; landmarks: by public
    points, far better near them. auto takes landmarks where they are given, else the one with the least predicted
    error, by the request and the public terms."""
    n_features: Annotated[int, Field(ge=1, le=MAX_FEATURES)] | None = None
    """fourier: random frequencies m; 1,024 with Gaussian noise and 256 with Laplace noise, whose error grows with them.
    spectral: the most frequencies, 4,096; it takes as few as have the least error."""
    feature_seed: Seed = 0
    """Of the frequencies, or of the probes: public, and nothing to do with the noise."""
    landmarks: PointsField | None = None
    """Public points (D, d), D <= 4,096, near which the sums are wanted, such as the very points to ask about, or public
    records like the private ones."""
    probes: PointsField | None = None
    """Public points (P, d), 16 <= P <= 1,024, at which the error of the landmarks is measured; drawn where landmarks
    tend to fail unless given, 240 with Gaussian noise and 32 with Laplace noise."""
    check_share: Annotated[float, Field(ge=0.01, le=0.5)] | None = None
    """Part of the privacy loss, of mu^2 or of epsilon, that is spent on the probes; 0.1 unless given."""
    release_id: ReleaseId | None = None
    """Set by the service."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "private_density",
            "x": {"private": "0" * 32},
            "kernel": {"family": "gaussian", "lengthscale": 0.2},
            "epsilon": 1.0,
            "delta": 1e-7,
        },
        {
            "kind": "private_density",
            "x": {"private": "0" * 32},
            "kernel": {"family": "rational", "of": "l1", "lengthscale": [1.0, 2.0]},
            "epsilon": 0.5,
            "n_features": 64,
        },
        {
            "kind": "private_density",
            "x": {"private": "0" * 32},
            "kernel": {"family": "gaussian", "lengthscale": 0.2},
            "epsilon": 1.0,
            "delta": 1e-7,
            "landmarks": [[0.2, 0.4], [0.5, 0.3]],
        },
    )

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> DensityRelease:
        """The release: a data structure that answers for any point."""
        return DensityRelease(array, dict(facts))

    def arrays(self) -> dict[str, ArrayReference]:
        """The private data set, and the public points."""
        public = {"landmarks": self.landmarks, "probes": self.probes}
        return {"x": self.x, **{name: one for name, one in public.items() if one is not None}}

    def recipe(self, terms: Terms, given: Mapping[str, int] = NOTHING) -> Recipe:
        """What it is made of; `given` says of how many points the public arrays are.

        Raises:
            ValueError: the mechanism cannot do it.
        """
        return recipe_for(self.mechanism, self.request(terms, given))

    def request(self, terms: Terms, given: Mapping[str, int] = NOTHING) -> Request:
        """What mechanisms look at."""
        spectrum, scale = spectrum_of(self.kernel)
        asked = (self.epsilon, self.delta, self.n_features, self.feature_seed)
        public = (given.get("landmarks"), given.get("probes"), self.check_share)
        return Request(spectrum, scale, *asked, terms, *public)

    def _recipe(self, infos: Mapping[str, ArrayInfo]) -> Recipe:
        return self.recipe(infos["x"].about, given_in(infos))

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """Lengthscales for every dimension, and noise that can be drawn.

        Raises:
            InvalidSpec: naming the field at fault.
        """
        terms: Terms = infos["x"].about
        check_kernel(self.kernel, terms.domain)
        for name in ("landmarks", "probes"):
            if name in infos and infos[name].shape[1] != terms.domain.d:
                detail = f"expected shape (n, {terms.domain.d}) as the domain has, got {infos[name].shape}"
                raise InvalidSpec("The points do not fit.", errors=(FieldError(f"/{name}", detail),))
        checked(lambda: self._recipe(infos))

    def privacy_loss(self, infos: Mapping[str, ArrayInfo]) -> Loss:
        """Of its noise."""
        return loss_of(self.epsilon, self.delta)

    def plan(self, infos: Mapping[str, ArrayInfo]) -> dict[str, Any]:
        """The mechanism, its predicted errors, and those of the others, or why they cannot."""
        recipe = self._recipe(infos)
        others = candidates(self.request(infos["x"].about, given_in(infos)))
        return {
            "mechanism": recipe.name,
            "reason": reason(recipe),
            "predicted_errors_of_mean": {
                name: one if isinstance(one, str) else one.predicted_error for name, one in others.items()
            },
            "noise": "Gaussian" if self.delta else "Laplace",
            "size": recipe.size,
            "noise_error": recipe.noise_error,
            "count_error": recipe.count_error,
            "approximation_error_per_record": recipe.approximation_error_per_record,
            "predicted_error_of_mean": recipe.predicted_error,
        }

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """One for all: releases are made one by one."""
        return f"{self.kind}:release"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """By as many records as there may be; the data are read by chunks, so that memory does not depend on them."""
        (n, d), recipe = infos["x"].shape, self._recipe(infos)
        return Cost(n * recipe.flops_per_record, 8 * d, 8 * recipe.size, CHUNK_BYTES + recipe.table_bytes)


def given_in(infos: Mapping[str, ArrayInfo]) -> dict[str, int]:
    """Of how many points the arrays are, by field."""
    return {name: info.shape[0] for name, info in infos.items()}


def check_kernel(kernel: DensityKernel, domain: Box) -> None:
    """See that it has lengthscales for every dimension of the domain, none too short.

    Raises:
        InvalidSpec: naming the field at fault.
    """
    scale, sides = np.atleast_1d(spectrum_of(kernel)[1]), np.subtract(domain.high, domain.low)
    if len(scale) not in (1, domain.d):
        raise _unfit("lengthscale", f"expected 1 or {domain.d} numbers, one for each dimension, got {len(scale)}")
    if getattr(kernel, "active_dimensions", None) is not None:
        raise _unfit("active_dimensions", "expected none: the whole record is read")
    if not (np.isfinite(scale) & (scale >= sides / STEPS)).all():
        least = f"expected at least a {STEPS}th of the domain's sides, the largest {sides.max():g}"
        raise _unfit("lengthscale", f"{least}, got {scale.min():g}")


def _unfit(name: str, detail: str) -> InvalidSpec:
    return InvalidSpec("The kernel does not fit the data.", errors=(FieldError(f"/kernel/{name}", detail),))


def checked(make: Callable[[], Recipe]) -> Recipe:
    """The recipe, if there is one, with noise that can be drawn.

    Raises:
        InvalidSpec: naming the field at fault.
    """
    try:
        recipe = make()
    except ValueError as error:
        raise InvalidSpec("Not by this mechanism.", errors=(FieldError("/mechanism", str(error)),)) from None
    try:
        recipe.check()
    except ValueError as error:
        raise InvalidSpec("There is no such noise.", errors=(FieldError("/epsilon", str(error)),)) from None
    return recipe
