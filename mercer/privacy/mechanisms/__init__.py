"""How kernel sums can be released.

`RECIPES` is the registry: a mechanism is a line in it, a module here, and `gpu/private/<name>.py` with its `features`.
"""

from __future__ import annotations

from typing import Literal

from mercer.privacy.mechanisms.fourier import FourierRecipe
from mercer.privacy.mechanisms.landmarks import LandmarkRecipe
from mercer.privacy.mechanisms.spectral import SpectralRecipe
from mercer.privacy.recipe import Recipe, Request

Mechanism = Literal["auto", "fourier", "landmarks", "spectral"]

RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (FourierRecipe, LandmarkRecipe, SpectralRecipe)}


def candidates(request: Request) -> dict[str, Recipe | str]:
    """By name what each mechanism would release, or why it cannot."""
    return {name: _candidate(recipe, request) for name, recipe in RECIPES.items()}


def _candidate(mechanism: type[Recipe], request: Request) -> Recipe | str:
    try:
        recipe = mechanism.of(request)
        recipe.check()
    except ValueError as error:
        return str(error)
    return recipe


def recipe_for(mechanism: Mechanism, request: Request) -> Recipe:
    """What a release is made of; `auto` is the mechanism with the least predicted error of a mean.

    Raises:
        ValueError: this mechanism cannot do it; the text says what it would take.
    """
    if mechanism not in ("auto", "landmarks") and request.n_landmarks is not None:
        raise ValueError("expected landmarks, as some are given")
    if request.n_landmarks is None and (request.n_probes, request.check_share) != (None, None):
        raise ValueError("expected landmarks with probes and check_share, which measure their error")
    if mechanism == "auto":
        return _best(request)
    return RECIPES[mechanism].of(request)


def _best(request: Request) -> Recipe:
    """Landmarks, where they are given: how well they do is measured, not predicted. Else the least predicted error."""
    if request.n_landmarks is not None:
        return LandmarkRecipe.of(request)
    able = [one for one in candidates(request).values() if isinstance(one, Recipe)]
    return min(able, key=lambda one: one.predicted_error) if able else FourierRecipe.of(request)


def reason(chosen: Recipe) -> str:
    """Why this one, in a sentence."""
    if isinstance(chosen, LandmarkRecipe):
        return "landmarks are given; how well they fit is measured and told by the release"
    return f"{chosen.title}: {chosen.predicted_error:.2g} is the predicted error of a mean over max_records records"
