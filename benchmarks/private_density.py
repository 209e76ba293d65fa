"""Private releases on real records: `make setup-bench`, then `python -m benchmarks.private_density [--save]`.

Each section is one statistic of one data set by several mechanisms at epsilon = 0.1, 1 and 10 (delta = 1e-6 with
Gaussian noise), add or remove one: what the released answers are off the exact ones by, beside what other
implementations of the same mechanism had. `--only digits` runs the sections whose names begin so and keeps the figures
of the others. A new section is a function that yields rows, and a line in SECTIONS.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import private_data
from benchmarks.private_data import Data
from benchmarks.private_tables import Row, draw, markdown
from benchmarks.report import RESULTS, save
from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import gram, private_classifier, private_density, private_distance
from gpu.private.distances import exact_distances
from gpu.task import Task
from mercer import kernels as k
from mercer.privacy.releases import Release, release_of
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs import Gram, PrivateClassifier, PrivateDensity, PrivateDistance, Spec

NAME = "private_density"
CPU = Device("cpu")
OPERATIONS = {
    "private_classifier": private_classifier,
    "private_density": private_density,
    "private_distance": private_distance,
}
EPSILONS = (0.1, 1.0, 10.0)
DELTA = 1e-6
RECORDS_AT_ONCE = 20_000
ABSENT = PrivateDensity.examples[0]["x"]
"""Releases are made by the operation itself, which looks up no data set."""


class Section(NamedTuple):
    """One statistic of one data set."""

    measure: str
    """What the values are."""
    rows: Callable[[], Iterable[Row]]


class Case(NamedTuple):
    """One mechanism for kernel sums."""

    method: str
    fields: Mapping[str, Any]
    """Of PrivateDensity."""
    elsewhere: Sequence[float | None] = (None, None, None)
    """For each of EPSILONS."""
    draws: int = 1
    """How many times as many releases: where noise is all the error, and alike at all points, it varies by half."""


def density(data: Data, squared_bandwidth: float, cases: Sequence[Case], releases: int) -> Iterator[Row]:
    """The mean absolute error of the mean of e^(-|x - y|^2 / squared bandwidth), over the points and some releases."""
    kernel = k.Gaussian(lengthscale=(squared_bandwidth / 2) ** 0.5)
    exact = kernel_sums(kernel, data)
    for case in cases:
        for epsilon, elsewhere in zip(EPSILONS, case.elsewhere, strict=True):
            errors, spent_s = [], 0.0
            for seed in range(releases * case.draws):
                spec = PrivateDensity(
                    x=ABSENT, kernel=kernel, epsilon=epsilon, feature_seed=seed, release_id="0" * 32, **case.fields
                )
                release = released(spec, data.records)
                start = time.process_time()
                answer = release(data.points)
                spent_s += time.process_time() - start
                errors.append(np.abs(answer.sums - exact).mean() / len(data.records))
            noise, query_us = (
                answer.noise_error.mean() / len(data.records),
                1e6 * spent_s / len(errors) / len(data.points),
            )
            flagged = ", flagged" if release.parameters.get("landmarks_fit") is False else ""
            yield Row(case.method + flagged, epsilon, float(np.mean(errors)), elsewhere, noise, query_us)


def kernel_sums(kernel: k.Gaussian, data: Data) -> Floats:
    """Exact sums over the records at the points: row sums of Gram matrices, as the service computes them."""
    sums = np.zeros(len(data.points))
    for start in range(0, len(data.records), RECORDS_AT_ONCE):
        arrays = {"x": data.points, "y": data.records[start : start + RECORDS_AT_ONCE]}
        (matrix,) = gram.run([Task(Gram(kernel=kernel, **arrays), arrays)], CPU)
        sums += matrix.array().sum(axis=1)
    return sums


def released(spec: Spec, records: Floats, box: Box | None = None) -> Release:
    """A release of records in the unit cube, or in another box, which costs no budget here."""
    public = {name: one for name, one in spec.arrays().items() if isinstance(one, np.ndarray)}
    task = Task(spec, {"x": records, **public}, about={"x": terms_of(records, box)})
    (answer,) = OPERATIONS[spec.kind].run([task], CPU)
    return release_of(answer.array(), answer.facts | {"release": "0" * 32})


def terms_of(records: Floats, box: Box | None = None) -> Terms:
    """Of records in the unit cube, or in another box."""
    d = records.shape[1]
    box = box or Box(low=[0.0] * d, high=[1.0] * d)
    return Terms(
        epsilon=100.0, delta=1e-3, neighbours=Neighbours.ADD_OR_REMOVE_ONE, domain=box, max_records=len(records)
    )


def fourier(m: int, laplace: Sequence[float | None], gaussian: Sequence[float | None]) -> list[Case]:
    """Random frequencies, m of them, with both kinds of noise: LSQ's mechanism, and what Gaussian noise makes of it."""
    return [
        Case(f"random Fourier features, m = {m:,}, Laplace", {"mechanism": "fourier", "n_features": m}, laplace),
        Case(
            f"random Fourier features, m = {m:,}, Gaussian",
            {"mechanism": "fourier", "n_features": m, "delta": DELTA},
            gaussian,
        ),
    ]


def spectral(laplace: Sequence[float | None], gaussian: Sequence[float | None], draws: int) -> list[Case]:
    """The weighted frequencies of a lattice, with both kinds of noise."""
    return [
        Case("spectral, Laplace", {"mechanism": "spectral"}, laplace, draws),
        Case("spectral, Gaussian", {"mechanism": "spectral", "delta": DELTA}, gaussian, draws),
    ]


def digits() -> Iterator[Row]:
    """A bandwidth that covers many digits."""
    cases = [
        *fourier(1_024, (0.33, 3.3e-2, 8.8e-3), (1.9e-2, 8.1e-3, 8.2e-3)),
        *fourier(4_096, (0.70, 7.6e-2, 7.1e-3), (1.9e-2, 4.0e-3, 3.4e-3)),
    ]
    return density(private_data.digits(), 8.0, cases, releases=10)


def narrow_digits() -> Iterator[Row]:
    """A bandwidth that covers few."""
    cases = fourier(4_096, (0.62, 6.3e-2, 6.6e-3), (1.8e-2, 3.0e-3, 2.2e-3))
    return density(private_data.digits(), 3.0, cases, releases=10)


def patches() -> Iterator[Row]:
    """Many records of many dimensions, where the features err more than the noise."""
    cases = fourier(1_024, (8.7e-3, 8.1e-3, 8.1e-3), (8.1e-3, 8.1e-3, 8.1e-3))
    return density(private_data.patches(), 2.0, cases, releases=3)


def patches_by_landmarks() -> Iterator[Row]:
    """Public landmarks in the place of random frequencies; a tenth of the loss measures how well they fit."""
    records, public = private_data.held_out(private_data.patches_of("china.jpg"), 1_000)
    asked, like = public[:500], public[500:]
    other = private_data.held_out(private_data.patches_of("flower.jpg"), 1_000).points
    made_up = private_data.smooth_patches(1_000)
    cases = [
        landmark_case("the questions themselves", asked, (None, 1.32e-5, None))._replace(draws=10),
        landmark_case("made up", made_up, (None, 5.6e-4, None)),
        landmark_case("of the same photograph", like, (None, 2.8e-4, None)),
        landmark_case("of another photograph", other, (None, 7.6e-2, None)),
    ]
    return density(Data(records, asked), 2.0, cases, releases=1)


def landmark_case(name: str, landmarks: Floats, elsewhere: Sequence[float | None]) -> Case:
    """Gaussian noise."""
    return Case(f"{len(landmarks):,} landmarks, {name}", {"landmarks": landmarks, "delta": DELTA}, elsewhere)


def classified_digits() -> Iterator[Row]:
    """Kernel sums by class; 360 held-out images in each of ten splits. The lengthscale was chosen on these digits."""
    rows = private_data.labelled_digits()
    d = rows.shape[1]
    spec = {"x": ABSENT, "label_column": d - 1, "classes": range(10), "kernel": k.Gaussian(lengthscale=1.5)}
    box = Box(low=[0.0] * d, high=[1.0] * (d - 1) + [9.0])
    kinds = [("Gaussian", {"delta": 1e-5}, (0.327, 0.880, None)), ("Laplace", {"n_features": 64}, (0.109, 0.259, None))]
    for noise, fields, elsewhere in kinds:
        for epsilon, theirs in zip(EPSILONS, elsewhere, strict=True):
            accuracies = []
            for seed in range(10):
                shuffled = np.random.default_rng(seed).permutation(rows)
                records, others = shuffled[:1_437], shuffled[1_437:]
                asked = PrivateClassifier(**spec, **fields, epsilon=epsilon, feature_seed=seed, release_id="0" * 32)
                release = released(asked, records, box)
                accuracies.append((release.predict(others[:, :-1]) == others[:, -1]).mean())
            yield Row(f"classes by kernel sums, {noise}", epsilon, float(np.mean(accuracies)), theirs)


def flights() -> Iterator[Row]:
    """Many records of two dimensions."""
    cases = [
        *fourier(1_024, (7.1e-3, 6.9e-3, 7.0e-3), (None,) * 3),
        *spectral((4.1e-4, 3.8e-5, 4.5e-6), (7.9e-5, 8.9e-6, 1.4e-6), draws=8),
    ]
    return density(private_data.flights(), 0.02, cases, releases=3)


def narrow_flights() -> Iterator[Row]:
    """The same with a bandwidth of a tenth."""
    cases = [
        *fourier(1_024, (5.1e-3, 4.8e-3, 4.8e-3), (None,) * 3),
        *spectral((9.3e-4, 9.1e-5, 8.5e-6), (9.2e-5, 1.05e-5, 1.4e-6), draws=2),
    ]
    return density(private_data.flights(), 0.002, cases, releases=3)


def distances(
    data: Data, cases: Sequence[Case], releases: int, unit: Callable[[float, Floats], Floats]
) -> Iterator[Row]:
    """The root mean square error of sums of distances, over the points and draws of noise, in what `unit` gives."""
    for case in cases:
        for epsilon, elsewhere in zip(EPSILONS, case.elsewhere, strict=True):
            spec = PrivateDistance(x=ABSENT, epsilon=epsilon, **case.fields)
            exact = np.array([private_distance.reference(spec, data.records, at[None])[0] for at in data.points])
            scale, recipe = unit(epsilon, exact), spec.recipe(terms_of(data.records))
            integers = exact_distances(recipe, data.records, CPU)
            errors, spent_s = [], 0.0
            for _ in range(releases):
                noisy = integers + private_distance.noise(recipe)
                start = time.process_time()
                answer = recipe.estimates(noisy, data.points)
                spent_s += time.process_time() - start
                errors.append((answer.sums - exact) / scale)
            noise, query_us = float(np.mean(answer.noise_error / scale)), 1e6 * spent_s / releases / len(data.points)
            yield Row(case.method, epsilon, float(np.sqrt(np.mean(np.square(errors)))), elsewhere, noise, query_us)


def arrivals() -> Iterator[Row]:
    """Absolute differences, by the mechanism that is chosen and by the published ones."""
    cases = [
        Case("spectral, Laplace", {"distance": "l1"}, (4.4, 4.4, None)),
        Case("spectral, Gaussian", {"distance": "l1", "delta": DELTA}, (3.25, 4.0, None)),
        Case("tree of counts and sums", {"distance": "l1", "mechanism": "tree"}, (171.0, 171.0, None)),
        Case("the same, made consistent", {"distance": "l1", "mechanism": "tree", "consistent": True}),
        Case("tree and rings, alpha = 0.1", {"distance": "l1", "mechanism": "tree_rings"}, (690.0, 6_888.0, None)),
    ]
    return distances(private_data.arrivals(), cases, 400, lambda epsilon, exact: np.full(len(exact), 1 / epsilon))


def far_digits() -> Iterator[Row]:
    """Distances in 64 dimensions: slices, and the moments of squares."""
    cases = [
        Case("l2 by 64 slices, Laplace", {"distance": "l2"}),
        Case("l2 by 256 slices, Gaussian", {"distance": "l2", "delta": DELTA}, (None, 5.8e-2, None)),
        Case("squared l2 by moments, Laplace", {"distance": "l2_squared"}),
        Case("squared l2 by moments, Gaussian", {"distance": "l2_squared", "delta": DELTA}),
    ]
    return distances(private_data.digits(), cases, 20, lambda epsilon, exact: exact)


OF_THE_MEAN = "mean absolute error of the mean kernel value"
SECTIONS = {
    "arrivals": Section("root mean square error of sum abs(x - y), in widths over epsilon", arrivals),
    "digits, distances": Section("root mean square error of the sum of distances, relative", far_digits),
    "digits, s2 = 8": Section(OF_THE_MEAN, digits),
    "digits, s2 = 3": Section(OF_THE_MEAN, narrow_digits),
    "patches, s2 = 2": Section(OF_THE_MEAN, patches),
    "classes of digits": Section("accuracy (delta = 1e-5 with Gaussian noise)", classified_digits),
    "patches by landmarks, s2 = 2": Section(OF_THE_MEAN, patches_by_landmarks),
    "flights, s2 = 0.02": Section(OF_THE_MEAN, flights),
    "flights, s2 = 0.002": Section(OF_THE_MEAN, narrow_flights),
}


def main() -> None:
    """Measures, prints, and with --save keeps the figures and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="sections whose names begin so")
    parser.add_argument("--save", action="store_true", help="keep the figures and the picture in benchmarks/results/")
    arguments = parser.parse_args()
    known = kept()
    for name, section in SECTIONS.items():
        if name.startswith(arguments.only):
            rows = [row._asdict() for row in section.rows()]
            known[name] = {"measure": section.measure, "rows": rows}
            print(markdown(name, section.measure, [Row(**row) for row in rows]), "\n", flush=True)
    if arguments.save:
        sections = {name: known[name] for name in SECTIONS if name in known}
        print(save(NAME, {"delta": DELTA, "sections": sections}))
        print(draw(sections, RESULTS / f"{NAME}.png"))


def kept() -> dict[str, Any]:
    """The sections of the last run that was saved."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["sections"] if path.exists() else {}


if __name__ == "__main__":
    main()
