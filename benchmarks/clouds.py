"""The pairs of real measures that sliced Wasserstein estimates are measured on: shapes, images and tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from gpu.leaves import Floats

FILE = Path(__file__).parent / "data" / "clouds.npz"
BUNNY_POINTS = 4_096
SIDE = 8
"""Of an image, in pixels."""


class Clouds(NamedTuple):
    """Two measures; without weights they are uniform."""

    x: Floats
    y: Floats
    x_weights: Floats | None = None
    y_weights: Floats | None = None


@cache
def shapes() -> dict[str, Floats]:
    """Vertices of meshes, (n, 3) float64, centred and scaled into the unit ball."""
    with np.load(FILE) as file:
        return {name: _in_unit_ball(file[name].astype(np.float64)) for name in file.files}


def _in_unit_ball(points: Floats) -> Floats:
    centred = points - points.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=1).max()


def pairs() -> dict[str, Clouds]:
    """By name: two meshes, a mesh and its mirror image, images as weighted pixels, classes of tables."""
    bunny = shapes()["bunny"]
    return {
        "airplane-ant": Clouds(shapes()["airplane"], shapes()["ant"]),
        "bunny-mirrored": Clouds(bunny[:BUNNY_POINTS], bunny[BUNNY_POINTS:] * [-1, 1, 1]),
        "image 0-8": _images(0, 18),
        "image 0-8, another": _images(0, 8),
        "image 0-1": _images(0, 1),
        "iris 0-1": _classes(datasets.load_iris, 0, 1),
        "iris 1-2": _classes(datasets.load_iris, 1, 2),
        "wine 0-1": _classes(datasets.load_wine, 0, 1),
        "breast cancer": _classes(datasets.load_breast_cancer, 0, 1),
        "digits 0-1": _classes(datasets.load_digits, 0, 1, standardised=False),
        "digits 3-8": _classes(datasets.load_digits, 3, 8, standardised=False),
    }


def _images(one: int, other: int) -> Clouds:
    """Two images of digits by their numbers: pixels at their places, weighted by their brightness."""
    images = datasets.load_digits().images
    (x, a), (y, b) = _pixels(images[one]), _pixels(images[other])
    return Clouds(x, y, a, b)


def _pixels(image: Floats) -> tuple[Floats, Floats]:
    """The places and weights of the pixels that are not black."""
    places = np.argwhere(image > 0)
    brightness = image[image > 0]
    return places / SIDE, brightness / brightness.sum()


def _classes(load: Callable[..., tuple[Floats, Floats]], one: int, other: int, *, standardised: bool = True) -> Clouds:
    """The rows of two classes of a table."""
    rows, labels = load(return_X_y=True)
    if standardised:
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    return Clouds(rows[labels == one], rows[labels == other])
