"""How kernel sums can be released.

`RECIPES` is the registry: a mechanism is a line in it, a module here, and `gpu/private/<name>.py` with its `features`.
"""

from __future__ import annotations

from typing import Literal

from mercer.privacy.mechanisms.fourier import FourierRecipe
from mercer.privacy.mechanisms.landmarks import LandmarkRecipe
from mercer.privacy.recipe import Recipe, Request

Mechanism = Literal["auto", "fourier", "landmarks"]

RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (FourierRecipe, LandmarkRecipe)}


def recipe_for(mechanism: Mechanism, request: Request) -> Recipe:
    """What a release is made of.

    Raises:
        ValueError: this mechanism cannot do it; the text says what it would take.
    """
    if mechanism == "auto":
        mechanism = "fourier" if request.n_landmarks is None else "landmarks"
    elif mechanism != "landmarks" and request.n_landmarks is not None:
        raise ValueError("expected landmarks, as some are given")
    if request.n_landmarks is None and (request.n_probes, request.check_share) != (None, None):
        raise ValueError("expected landmarks with probes and check_share, which measure their error")
    return RECIPES[mechanism].of(request)
