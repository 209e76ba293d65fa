"""The Gram matrix job."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from mercer.arrays import ArrayInfo, DType
from mercer.errors import FieldError, InvalidSpec
from mercer.kernels import Family, Kernel
from mercer.points import ArrayReference, PointsField
from mercer.specs.base import Cost, Spec

SMALL_ENTRIES = 512 * 512
"""Matrices up to this size are computed many to a launch; larger ones fill the device alone."""

TILE_BYTES = 64 * 2**20
"""Working memory for one panel of rows of a large matrix, which then goes to the store."""

WHOLE_BYTES = 256 * 2**20
"""In float64; a matrix up to this size may be computed as a whole, so that half of a symmetric one is only copied."""

FLOPS_PER_ENTRY = 10
"""Beyond the 2d of a distance: the exponential and its argument."""


class Gram(Spec):
    """Gram matrix K[i, j] = k(x_i, y_j), shape (n, m).

    y = x when y is absent, and K is then exactly symmetric.

    normalise: K[i, j] / sqrt(k(x_i, x_i) k(y_j, y_j)).
    centre:    H K H with H = I - 1 1^T / n, the Gram matrix of centred features; after normalise; only without y.
    diagonal_only: the vector k(x_i, x_i), shape (n,); only without y, and not with centre.

    Schoelkopf and Smola, Learning with Kernels (2002), definitions 2.3 and (for centring) eq. 14.17.
    """

    kind: Literal["gram"] = "gram"
    kernel: Kernel
    """Such as 0.7 * matern(nu=2.5) + white(0.01)."""
    x: PointsField
    """Points, shape (n, d)."""
    y: PointsField | None = None
    """Other points, shape (m, d), for K(x, y)."""
    dtype: DType = "float64"
    """Of the arithmetic and of the result."""
    centre: bool = False
    """Centre the features: H K H."""
    normalise: bool = False
    """Divide by the square roots of the diagonal."""
    diagonal_only: bool = False
    """Only k(x_i, x_i), shape (n,)."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"kind": "gram", "kernel": {"family": "gaussian", "lengthscale": 2.0}, "x": [[0.0, 0.0], [3.0, 4.0]]},
        {
            "kind": "gram",
            "kernel": {
                "family": "sum",
                "terms": [
                    {"family": "scale", "factor": 0.7, "kernel": {"family": "matern", "nu": 2.5}},
                    {"family": "white", "variance": 0.01},
                ],
            },
            "x": [[0.1, -0.4, 0.7], [1.0, 0.2, -0.3], [-0.5, 0.9, 0.4]],
            "dtype": "float32",
        },
        {
            "kind": "gram",
            "kernel": {"family": "polynomial", "degree": 3, "gamma": 0.5, "offset": 1.5},
            "x": [[0.1, -0.4], [1.0, 0.2]],
            "y": [[0.3, 0.3], [-1.0, 0.5], [0.0, 1.0]],
            "normalise": True,
        },
        {
            "kind": "gram",
            "kernel": {"family": "linear"},
            "x": [[0.0, 1.0], [2.0, 0.5], [1.0, 1.0]],
            "centre": True,
        },
        {
            "kind": "gram",
            "kernel": {"family": "arc_cosine", "order": 1},
            "x": [[0.0, 1.0], [2.0, 0.5]],
            "diagonal_only": True,
        },
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.y is not None and (self.centre or self.diagonal_only):
            option = "centre" if self.centre else "diagonal_only"
            raise ValueError(f"expected no y with {option}, which is of K(x, x)")
        if self.centre and self.diagonal_only:
            raise ValueError("expected centre or diagonal_only, got both")
        return self

    def arrays(self) -> dict[str, ArrayReference]:
        """x, and y when there is one."""
        return {"x": self.x} if self.y is None else {"x": self.x, "y": self.y}

    def needs_minima(self) -> bool:
        """Some families take no negative points."""
        return any(leaf.non_negative_inputs for leaf in self.kernel.leaves())

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """The same d for x and y, and every family fits d and the points' range.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        d = infos["x"].shape[1]
        errors = []
        if "y" in infos and infos["y"].shape[1] != d:
            errors.append(FieldError("/y", f"expected shape (m, {d}) as x has {d} columns, got {infos['y'].shape}"))
        for pointer, leaf in self.kernel.located("/kernel"):
            errors.extend(_misfits(leaf, pointer, d))
            if leaf.non_negative_inputs:
                errors.extend(_negative(infos, leaf))
        if errors:
            raise InvalidSpec("The kernel or y does not fit the points.", errors=tuple(errors))

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, the kernel's structure, and whether it is small enough to share a launch."""
        n, m = self._sizes(infos)
        size = "small" if n * m <= SMALL_ENTRIES and not self.centre else "large"
        return f"gram:{self.dtype}:{size}:{self.kernel.structure()}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """(2d + 10) n m flops for each family; the result is written by panels, so peak memory is bounded."""
        n, m = self._sizes(infos)
        d = infos["x"].shape[1]
        itemsize = 4 if self.dtype == "float32" else 8
        widths = [max(d, leaf.n_active(d)) for leaf in self.kernel.leaves()]  # a family may read a column many times
        width = sum(widths)
        bytes_in = (n if self.y is None else n + m) * d * itemsize
        bytes_out = n * m * itemsize
        whole = n * m * 8
        panel = whole if whole <= WHOLE_BYTES else min(whole, TILE_BYTES + m * 8)
        if self.centre:
            panel = min(whole, panel * 3 // 2)  # by float64, with a panel of the means' pass or of the result
        elif self.dtype == "float32" and panel == whole:
            panel = panel * 3 // 4  # half of it, and one and a half where float32 would lose digits
        # Each family keeps its own copies of the points.
        peak = panel + 2 * width * (n + m) * 8
        return Cost((2 * width + FLOPS_PER_ENTRY * len(widths)) * n * m, bytes_in, bytes_out, peak)

    def _sizes(self, infos: Mapping[str, ArrayInfo]) -> tuple[int, int]:
        n = infos["x"].shape[0]
        return n, 1 if self.diagonal_only else infos.get("y", infos["x"]).shape[0]


def _misfits(leaf: Family, pointer: str, d: int) -> Iterator[FieldError]:
    """Where a family does not fit points of d columns."""
    if leaf.active_dimensions is not None and (largest := max(leaf.active_dimensions)) >= d:
        detail = f"expected columns below {d} for {leaf.family}, as the points have {d}, got {largest}"
        yield FieldError(f"{pointer}/active_dimensions", detail)
    for field in leaf.per_dimension:
        value = getattr(leaf, field)
        if isinstance(value, tuple) and len(value) != (n := leaf.n_active(d)):
            numbers = "1 number" if n == 1 else f"1 or {n} numbers"
            detail = f"expected {numbers} for {leaf.family} on {n} of the {d} columns, got {len(value)}"
            yield FieldError(f"{pointer}/{field}", detail)


def _negative(infos: Mapping[str, ArrayInfo], leaf: Family) -> Iterator[FieldError]:
    """Points that are negative where the family takes none."""
    for name, info in infos.items():
        if info.minimum is not None and info.minimum < 0:
            yield FieldError(f"/{name}", f"expected points >= 0 for {leaf.family}, got {info.minimum:.6g}")
