"""What is decided from the first bits, and what needs more, on words that the tests choose."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from gpu.cpu import noise as compiled
from gpu.private import exact, gaussian, laplace
from gpu.private.gaussian import Law

SCALES = [Fraction(1, 4), Fraction(1), Fraction(22, 7), Fraction(1000), Fraction(2**40), Fraction(2**50)]
LAWS = [Law(sigma, width) for sigma in SCALES for width in (0, 1)]


def random_words(seed):
    random = np.random.default_rng(seed)
    return lambda n: random.integers(0, 2**64, n, np.uint64)


def counting(source, counts):
    def words(n):
        counts.append(n)
        return source(n)

    return words


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_thresholds_are_the_first_64_bits_of_the_digits_probabilities(scale):
    with mpmath.workdps(80):
        for k, threshold in enumerate(laplace.thresholds(scale).tolist()):
            p = 1 / (1 + mpmath.exp(mpmath.mpf(2) ** k * scale.denominator / scale.numerator))
            assert threshold == int(mpmath.floor(p * 2**64))


@pytest.mark.parametrize("index", [0, 1, 5])
def test_further_words_continue_the_expansion(index):
    with mpmath.workdps(200):
        p = 1 / (1 + mpmath.exp(mpmath.mpf(2) / 3))
        expected = int(mpmath.floor(p * mpmath.mpf(2) ** (64 * (index + 1)))) % 2**64
    assert exact.word(lambda digits: exact.odds(Fraction(2, 3), digits), index) == expected


@pytest.mark.parametrize(("above", "digit"), [([-1], 1), ([1], 0), ([0, -1], 1), ([0, 1], 0), ([0, 0, 0, -1], 1)])
@pytest.mark.parametrize("k", [0, 3, 9])
def test_a_word_that_equals_its_threshold_is_decided_by_the_next_ones(k, above, digit):
    scale = Fraction(100)
    cuts = laplace.thresholds(scale)
    first = np.full(2 * len(cuts), 2**64 - 1, np.uint64)
    first[k] = cuts[k]
    expansion = [exact.word(lambda digits: exact.odds(2**k / scale, digits), index) for index in range(1, 6)]
    further = iter([np.array([word + step], np.uint64) for word, step in zip(expansion, above, strict=False)])
    supply = iter([first])
    assert laplace.draw(scale, 1, lambda n: next(supply, None) if n > 1 else next(further))[0] == digit << k


def test_the_most_extreme_words_give_the_most_extreme_samples():
    scale = Fraction(2**50)
    digits = len(laplace.thresholds(scale))

    def words(n):
        return np.repeat(np.array([0, 2**64 - 1], np.uint64), -(-n // 2))[:n]

    assert laplace.draw(scale, 5, words).tolist() == [2**digits - 1] * 5
    assert digits <= 57


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_float64_is_wrong_about_acceptance_by_far_less_than_the_margin(law):
    random = np.random.default_rng(3)
    spread = float(law.sigma) * np.concatenate([random.normal(size=150), random.uniform(-12, 12, 150)])
    candidates = np.concatenate([[0, 1, -1], np.rint(spread)]).astype(np.int64)
    uniforms, places = (random.integers(0, 2**64, len(candidates), np.uint64) for _ in range(2))
    excess = np.empty(len(candidates))
    compiled.accept(candidates, uniforms, places, law.constants, excess)
    for k, u, place, got in zip(candidates.tolist(), uniforms.tolist(), places.tolist(), excess.tolist(), strict=True):
        probability = exact.exponential(law.exponent(k, exact.uniform([place])), 50)
        assert float(probability.high) <= 1
        assert abs(float(probability.low - Fraction(u, 2**64)) - got) < gaussian.MARGIN / 256


@pytest.mark.parametrize("law", LAWS[2:8], ids=str)
def test_decisions_of_float64_are_the_exact_ones(law, monkeypatch):
    quick = gaussian.draw(law, 60, random_words(4))
    monkeypatch.setattr(gaussian, "MARGIN", 2.0)
    assert gaussian.draw(law, 60, random_words(4)).tolist() == quick.tolist()


def test_a_uniform_number_beside_the_probability_is_decided_by_more_words():
    law = Law(Fraction(10), 0)
    probability = exact.exponential(law.exponent(3, exact.uniform([0])), 100).low
    first = int(probability * 2**64)
    second = int(probability * 2**128) % 2**64
    for step, accepted in ((-1, True), (1, False)):
        supply = iter([second + step, 0, second + step, 0])
        assert gaussian.decide(law, 3, [first], [0], lambda n: np.array([next(supply)], np.uint64)) is accepted  # noqa: B023


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_candidates_are_accepted_at_least_as_often_as_stated(law):
    candidates = laplace.draw(law.scale, 40_000, random_words(5))
    excess = np.empty(len(candidates))
    compiled.accept(candidates, random_words(6)(40_000), random_words(7)(40_000), law.constants, excess)
    assert (excess > 0).mean() > law.rate - 0.015
    assert law.rate > 1 / 8


@pytest.mark.parametrize("size", [1, 100, 70_000])
@pytest.mark.parametrize("law", LAWS[4:8], ids=str)
def test_the_work_does_not_depend_on_what_is_drawn(law, size):
    counts = [[], []]
    for seed, count in enumerate(counts):
        gaussian.draw(law, size, counting(random_words(seed), count))
    assert counts[0] == counts[1]


def test_a_round_that_falls_short_is_followed_by_another(monkeypatch):
    law = Law(Fraction(1000), 0)
    monkeypatch.setattr(gaussian, "candidates", lambda law, size: size)
    draws = gaussian.draw(law, 5_000, random_words(8))
    assert abs(draws.std() / 1000 - 1) < 0.06
    assert np.count_nonzero(draws) > 4_900


@pytest.mark.parametrize("room", [1, 3, 4, 9])
def test_the_first_accepted_candidates_are_kept_and_no_others(room):
    candidates, accepted = np.arange(1, 10), np.array([0, 1, 1, 0, 1, 0, 0, 1, 0], bool)
    out = np.zeros(room, np.int64)
    assert compiled.compact(candidates, accepted, out) == 4
    assert out[: min(4, room)].tolist() == candidates[accepted][:room].tolist()
