"""Every kind of release and of its answers: the registry."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mercer.privacy import classifier, density
from mercer.privacy.classifier import ClassifierAnswer, ClassifierRelease
from mercer.privacy.density import DensityAnswer, DensityRelease
from mercer.privacy.distances import release as distances
from mercer.privacy.distances.release import DistanceAnswer, DistanceRelease
from mercer.privacy.grid import Floats

Release = DensityRelease | DistanceRelease | ClassifierRelease
SumsAnswer = DensityAnswer | DistanceAnswer
Answer = SumsAnswer | ClassifierAnswer


class Kind(NamedTuple):
    """What a kind of job releases, and what it answers with."""

    release: type[Release]
    answer: Callable[[Floats, Mapping[str, Any]], Answer]
    """From the columns and facts that `columns_of` made of one."""
    query_cost: Callable[[Mapping[str, Any], int], tuple[int, int]]
    """Operations and bytes for so many points, by the release's parameters."""


def columns_of(answer: Answer) -> tuple[Floats, dict[str, Any]]:
    """What an answer says of each point, (n, columns), and what it says of all of them."""
    if isinstance(answer, ClassifierAnswer):
        return answer.columns(), answer.facts()
    columns = np.column_stack([answer.sums, answer.means, answer.noise_error, answer.approximation_error])
    return columns, {"records": answer.records}


def _sums(answer: type[SumsAnswer]) -> Callable[[Floats, Mapping[str, Any]], Answer]:
    def read(columns: Floats, facts: Mapping[str, Any]) -> Answer:
        sums, means, noise, approximation = columns.T
        return answer(sums, means, facts["records"], noise, approximation)

    return read


KINDS = {
    "private_classifier": Kind(ClassifierRelease, ClassifierAnswer.of, classifier.query_cost),
    "private_density": Kind(DensityRelease, _sums(DensityAnswer), density.query_cost),
    "private_distance": Kind(DistanceRelease, _sums(DistanceAnswer), distances.query_cost),
}


def release_of(vector: Floats, parameters: dict[str, Any]) -> Release:
    """The release of these numbers and parameters.

    Raises:
        KeyError: it is of no kind that is known.
    """
    return KINDS[parameters["kind"]].release(vector, parameters)


def load_release(path: str | os.PathLike[str]) -> Release:
    """A release that was saved.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no release, or other numbers than were published.
    """
    data = BytesIO(Path(path).read_bytes())
    try:
        with np.load(data, allow_pickle=False) as file:
            release = release_of(file["vector"], json.loads(str(file["parameters"])))
        whole = release.is_whole
    except Exception:  # noqa: BLE001 - the readers of zip, npy and JSON raise ten kinds of errors on crafted input
        raise ValueError("expected a file that a release's save wrote; this one cannot be read as such") from None
    if not whole:
        raise ValueError("expected the numbers and parameters of one release; in this file they do not fit each other")
    return release
