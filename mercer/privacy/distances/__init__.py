"""Private sums of distances: one module for each mechanism; the registry is one expression."""

from __future__ import annotations

from collections.abc import Callable

from mercer.privacy.distances.estimates import Distances, Estimates
from mercer.privacy.distances.moments import MomentDistances
from mercer.privacy.distances.request import Mechanism, Request
from mercer.privacy.distances.spectral import SpectralDistances
from mercer.privacy.distances.tree import RingDistances, TreeDistances

MECHANISMS: dict[Mechanism, Callable[[Request], Distances]] = {
    "spectral": SpectralDistances,
    "moments": MomentDistances,
    "tree": TreeDistances,
    "tree_rings": RingDistances,
}

__all__ = ["MECHANISMS", "Distances", "Estimates", "Mechanism", "Request"]
