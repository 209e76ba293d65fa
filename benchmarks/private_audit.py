"""What private releases lose, seen from outside: `python -m benchmarks.private_audit [--trials 200000] [--save]`.

For each mechanism, kind of noise and neighbouring relation the pair of neighbours, among many, that its exact integers
tell apart best; 200,000 releases of each, and the bound from below that these give for epsilon and mu (Clopper and
Pearson, 97.5 % for either probability), which is never above what was charged. Then planted bugs, each of which is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np

from benchmarks.auditing import (
    Bound,
    Parts,
    Realised,
    Release,
    Unsound,
    forced,
    lower_bound,
    realised,
    releases,
    samplers,
    statistic,
    taken_apart,
    towards,
)
from benchmarks.report import save, table
from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import private_density_query
from gpu.private import gaussian, laplace
from gpu.private.stream import secret_words
from gpu.task import Answer, Task
from mercer.privacy import Loss
from mercer.privacy.accounting import MU2_UNIT
from mercer.privacy.gaussian import epsilon
from mercer.privacy.terms import Box, Neighbours, Terms, public_info
from mercer.specs import PrivateDensity, PrivateDensityQuery, PrivateDistance, Spec

CPU = Device("cpu")
BOX = Box(low=[0.0], high=[1.0])
DELTA = 1e-5
DOUBT = 0.025
N_CANDIDATES = 201
PLANTED_IN = "Fourier, m = 1"
N_RUNS = 2_000
"""Of releases that are run one by one, and of answers."""
N_SHARED = 99
"""Records that both neighbours have."""
ABSENT = PrivateDensity.examples[0]["x"]


class Case(NamedTuple):
    """A release and the relation that it is charged for."""

    name: str
    spec: Spec
    neighbours: Neighbours
    public: Mapping[str, Floats] = MappingProxyType({})
    """Arrays beside the records."""

    @property
    def terms(self) -> Terms:
        """Of a data set in one dimension."""
        return Terms(epsilon=100.0, delta=1e-3, neighbours=self.neighbours, domain=BOX, max_records=1_000)

    @property
    def charged(self) -> Loss:
        """What the ledger would be charged."""
        return self.spec.privacy_loss({"x": public_info(self.terms)})

    @property
    def delta(self) -> float:
        """What was asked for."""
        return float(getattr(self.spec, "delta", 0.0))

    @property
    def claim(self) -> Bound:
        """What was charged, as bounds of the loss."""
        return Bound(self.charged.epsilon_at(self.delta), float(self.charged.mu2 * MU2_UNIT) ** 0.5)

    def answer(self, records: Floats) -> Answer:
        """As a worker computes it."""
        task = Task(self.spec, {"x": records, **self.public}, about={"x": self.terms})
        return cast(Answer, import_module(f"gpu.ops.{self.spec.kind}").run([task], CPU)[0])

    def release(self, records: Floats) -> Release:
        """What is released of records."""
        return lambda: self.answer(records).array()


Pair = tuple[Floats, Floats]
Plant = Callable[[Release, int], Release]
"""What a bug makes of a release of so many records."""


class Made(NamedTuple):
    """Of what a release is made, but for its delta."""

    kind: type[Spec]
    fields: Mapping[str, Any]
    """Few features, which a test on the outside sees best."""
    public: Mapping[str, Floats] = MappingProxyType({})


NARROW = {"kernel": {"family": "gaussian", "lengthscale": 0.05}}
PUBLIC = {"landmarks": np.array([[0.3], [0.7]]), "probes": np.linspace(0, 1, 16)[:, None]}
MECHANISMS = {
    "Fourier, m = 1": Made(PrivateDensity, {**NARROW, "mechanism": "fourier", "n_features": 1}),
    "Fourier, m = 4": Made(PrivateDensity, {**NARROW, "mechanism": "fourier", "n_features": 4}),
    "spectral, at most 4": Made(PrivateDensity, {**NARROW, "mechanism": "spectral", "n_features": 4}),
    "2 landmarks": Made(PrivateDensity, NARROW | {name: points.tolist() for name, points in PUBLIC.items()}, PUBLIC),
    "l1, spectral": Made(PrivateDistance, {"distance": "l1", "cells": 16}),
    "l1, tree": Made(PrivateDistance, {"distance": "l1", "mechanism": "tree", "cells": 16}),
    "l2 squared, moments": Made(PrivateDistance, {"distance": "l2_squared"}),
}


def cases() -> Iterator[Case]:
    """Every mechanism with both kinds of noise under both relations."""
    for (name, made), delta, neighbours in product(MECHANISMS.items(), (0.0, DELTA), Neighbours):
        spec = made.kind(x=ABSENT, epsilon=1.0, delta=delta, release_id="0" * 32, **made.fields)
        yield Case(f"{name}, {'Gaussian' if delta else 'Laplace'}, {neighbours}", spec, neighbours, made.public)


def worst(case: Case, relation: Neighbours) -> Pair:
    """The neighbours, among many, whose exact integers lose most."""
    shared = np.full((N_SHARED, 1), 0.25)
    candidates = [np.array([[x]]) for x in np.linspace(0, 1, N_CANDIDATES)]
    parts = [taken_apart(case.release(np.concatenate([shared, one]))) for one in candidates]
    if relation == Neighbours.ADD_OR_REMOVE_ONE:
        fewer = taken_apart(case.release(shared))
        best = max(range(N_CANDIDATES), key=lambda i: realised(parts[i], fewer))
        return np.concatenate([shared, candidates[best]]), shared
    i, j = max(
        product(range(N_CANDIDATES), range(0, N_CANDIDATES, 4)), key=lambda ij: _moved(parts[ij[0]], parts[ij[1]])
    )
    return np.concatenate([shared, candidates[i]]), np.concatenate([shared, candidates[j]])


def _moved(one: Parts, other: Parts) -> float:
    gaussians, scales = one.laws
    ratios = np.abs(one.exact - other.exact) / scales.astype(float)
    return float(ratios[~gaussians].sum() + (ratios[gaussians] ** 2).sum())


def unchanged(release: Release, n: int) -> Release:
    """No bug."""
    return release


def rescaled(release: Release, factor: Fraction, times: int = 1) -> Release:
    """With noise of another scale, times a whole number."""

    def planted() -> Floats:
        of_laplace, of_gaussian = laplace.draw, gaussian.draw

        def draw(law: str, scale: Fraction, size: int) -> Floats:
            words = secret_words()
            if law == "laplace":
                return times * of_laplace(scale * factor, size, words)
            return times * of_gaussian(gaussian.Law(scale * factor, 1), size, words)

        with samplers(draw):
            return release()

    return planted


def last_without_noise(release: Release, n: int) -> Release:
    """The last number is released as it is."""
    last = taken_apart(release).exact[-1:]
    return lambda: np.concatenate([release()[:-1], last])


def float_noise(release: Release, n: int) -> Release:
    """Laplace noise of NumPy, which is no integer and tells by its last bits what it was added to."""
    parts, random = taken_apart(release), np.random.default_rng()
    scales = parts.laws[1].astype(float)
    return lambda: parts.exact + random.laplace(0, scales)


PLANTED: Mapping[str, Plant] = {
    "half the scale": lambda release, n: rescaled(release, Fraction(1, 2)),
    "the scale over n": lambda release, n: rescaled(release, Fraction(1, n)),
    "n in the sensitivity": lambda release, n: lambda: np.append(rescaled(release, Fraction(1, n), n)() // n, n),
    "a count without noise": last_without_noise,
    "noise of floats": float_noise,
}


class Seen(NamedTuple):
    """An audit from the inside and the outside."""

    charged: Bound
    inside: Realised | str
    """What two neighbours' integers lose, or why the release is unsound."""
    bound: Bound

    def sound(self, case: Case) -> bool:
        """Whether no more is lost than was charged, as far as can be seen."""
        within = isinstance(self.inside, Realised) and self.inside.within(case.charged)
        return within and self.bound.epsilon <= self.charged.epsilon and self.bound.mu <= self.charged.mu


def inside(made: Sequence[Release]) -> Realised | str:
    """What two neighbours' integers lose, or why the release is unsound."""
    try:
        return realised(*(taken_apart(release) for release in made))
    except Unsound as found:
        return str(found)


def audited(case: Case, pair: Pair, trials: int, doubt: float = DOUBT, plant: Plant = unchanged) -> Seen:
    """The loss of one pair of neighbours."""
    made = [plant(case.release(records), len(records)) for records in pair]
    known = inside(made)
    if isinstance(known, str):
        return Seen(case.claim, known, seen_from_outside(case, made, min(trials, N_RUNS), doubt))
    one, other = (taken_apart(release) for release in made)
    drawn = ([statistic(one, other, releases(parts, trials)) for parts in (one, other)] for _ in range(2))
    return Seen(case.claim, known, lower_bound(*drawn, case.delta, doubt))


def made_of_noisy_numbers(case: Case, pair: Pair) -> bool:
    """Whether neighbours with the same noisy numbers have the same release, in all its numbers and parameters."""
    parts = [taken_apart(case.release(records)) for records in pair]
    (noisy,) = releases(parts[0], 1)
    one, other = (
        forced(lambda records=records: case.answer(records), own, noisy)
        for records, own in zip(pair, parts, strict=True)
    )
    return np.array_equal(one.array(), other.array()) and one.facts == other.facts


def seen_from_outside(case: Case, made: Sequence[Release], trials: int, doubt: float) -> Bound:
    """By running each release again and again, and a linear test."""
    first, second = ([np.array([release() for _ in range(trials)]).astype(float) for release in made] for _ in range(2))
    weights = towards(*first)
    chosen, seen = ([released @ weights for released in both] for both in (first, second))
    return lower_bound(chosen, seen, case.delta, doubt)


def answers(case: Case, pair: Pair, trials: int, doubt: float = DOUBT, noisy: bool = True) -> Bound:
    """What is seen in answers alone, at the place of the record in question; without noise where that is left out."""
    at = pair[0][-1:]

    def asked(records: Floats) -> list[Floats]:
        parts, facts = taken_apart(case.release(records)), case.answer(records).facts | {"release": "0" * 32}
        vectors = releases(parts, 2 * trials) if noisy else np.tile(parts.exact, (2 * trials, 1))
        spec = PrivateDensityQuery(release={"release": "0" * 32}, points=at)
        tasks = [Task(spec, {"release": one, "points": at}, about={"release": facts}) for one in vectors]
        sums = np.array([one.array()[0, 0] for one in private_density_query.run(tasks, CPU)])
        return [sums[:trials], sums[trials:]]

    (chosen, seen), (chosen_other, seen_other) = (asked(records) for records in pair)
    sign = 1 if chosen.mean() >= chosen_other.mean() else -1
    return lower_bound([sign * chosen, sign * chosen_other], [sign * seen, sign * seen_other], case.delta, doubt)


def main() -> None:
    """Audits, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200_000)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    rows = [row(case, arguments.trials) for case in cases()]
    print(table(list(rows[0]), [list(one.values()) for one in rows]), "\n", flush=True)
    bugs = [bug for case in cases() if case.name.startswith(PLANTED_IN) for bug in caught(case, arguments.trials)]
    print(table(list(bugs[0]), [list(one.values()) for one in bugs]))
    if arguments.save:
        print(save("private_audit", {"trials": arguments.trials, "audits": rows, "planted": bugs}))


def row(case: Case, trials: int) -> dict[str, Any]:
    """An audit as a line."""
    pair = worst(case, case.neighbours)
    seen = audited(case, pair, trials)
    return {
        "release": case.name,
        "epsilon charged": seen.charged.epsilon,
        "of the integers": loss_of(case, seen.inside),
        "seen": seen.bound.epsilon,
        "in answers": "" if case.public else answers(case, pair, N_RUNS).epsilon,
        "mu charged": seen.charged.mu,
        "mu seen": seen.bound.mu,
        "sound": seen.sound(case) and made_of_noisy_numbers(case, pair),
    }


def loss_of(case: Case, inside: Realised | str) -> float | str:
    """Epsilon, at the delta that was charged."""
    if isinstance(inside, str):
        return inside
    return epsilon(float(inside.mu2) ** 0.5, case.delta) if case.charged.gaussians else float(inside.epsilon)


def caught(case: Case, trials: int) -> Iterator[dict[str, Any]]:
    """What is seen of each planted bug."""
    if case.neighbours == Neighbours.ADD_OR_REMOVE_ONE:
        pair = worst(case, case.neighbours)
        for name, plant in PLANTED.items():
            yield verdict(name, case, audited(case, pair, trials, plant=plant))
        if not case.public:
            yield verdict("answers without noise", case, Seen(case.claim, "", answers(case, pair, N_RUNS, noisy=False)))
        swapped = worst(case, Neighbours.CHANGE_ONE)
        yield verdict("change one, charged as add or remove", case, audited(case, swapped, trials))


def verdict(bug: str, case: Case, seen: Seen) -> dict[str, Any]:
    """Of a planted bug."""
    columns = {"epsilon charged": seen.charged.epsilon, "of the integers": loss_of(case, seen.inside)}
    return {"release": case.name, "bug": bug, **columns, "seen": seen.bound.epsilon, "sound": seen.sound(case)}


if __name__ == "__main__":
    main()
