"""How kernel sums can be released.

`RECIPES` is the registry: a mechanism is a line in it, a module here, and `gpu/private/<name>.py` with its `features`.
"""

from __future__ import annotations

from typing import Literal

from mercer.privacy.mechanisms.fourier import FourierRecipe
from mercer.privacy.recipe import Recipe, Request

Mechanism = Literal["auto", "fourier"]

RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (FourierRecipe,)}


def recipe_for(mechanism: Mechanism, request: Request) -> Recipe:
    """What a release is made of.

    Raises:
        ValueError: this mechanism cannot do it; the text says what it would take.
    """
    return RECIPES["fourier" if mechanism == "auto" else mechanism].of(request)
