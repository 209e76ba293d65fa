"""What noise ought to be: exact cells of the laws, and the chi-squared test of draws against them."""

import numpy as np
from scipy import stats

FAR = 60
"""Standard deviations or scales; nothing is drawn beyond them."""


def pmf(name, scale):
    """Of all integers from -FAR scale to FAR scale, for a scale that leaves them few."""
    x = np.arange(-int(FAR * scale) - 1, int(FAR * scale) + 2, dtype=float)
    if name == "discrete_laplace":
        return x, np.tanh(0.5 / scale) * np.exp(-np.abs(x) / scale)
    if name == "rounded_gaussian":
        return x, stats.norm.sf((np.abs(x) - 0.5) / scale) - stats.norm.sf((np.abs(x) + 0.5) / scale)
    weights = np.exp(-(x**2) / (2 * scale**2))
    return x, weights / weights.sum()


def cdf(name, scale, x):
    """P(X <= x) at integers; the discrete Gaussian's by the midpoint rule, wrong by less than 1 / (24 scale^2)."""
    if name == "discrete_laplace":
        tail = np.exp(-np.where(x < 0, -x, x + 1) / scale) / (1 + np.exp(-1 / scale))
        return np.where(x < 0, tail, 1 - tail)
    return stats.norm.cdf((x + 0.5) / scale)


def cells(name, scale):
    """Upper ends of cells of some integers each, and the probabilities of the cells; the last one has no end."""
    if scale <= 1000:
        x, p = pmf(name, scale)
        ends = np.unique(np.searchsorted(np.cumsum(p), np.linspace(0.0025, 0.9975, 400)))
        return x[ends], np.diff(np.cumsum(p)[ends], prepend=0, append=1)
    spread = stats.laplace if name == "discrete_laplace" else stats.norm
    ends = np.floor(spread.ppf(np.linspace(0.0025, 0.9975, 400)) * scale)
    return ends, np.diff(cdf(name, scale, ends), prepend=0, append=1)


def p_value(draws, ends, probabilities):
    """Of the chi-squared test that draws fall into cells with these probabilities."""
    counts = np.bincount(np.searchsorted(ends, draws), minlength=len(probabilities))
    kept = probabilities * len(draws) >= 5
    observed, expected = counts[kept], probabilities[kept] * len(draws)
    rest = len(draws) - expected.sum()
    if rest > 5:
        observed, expected = np.append(observed, counts[~kept].sum()), np.append(expected, rest)
    expected *= observed.sum() / expected.sum()
    return stats.chisquare(observed, expected).pvalue


def residue_p_value(draws, modulus):
    """Of the chi-squared test that the residues are uniform: true of a scale far above the modulus."""
    return stats.chisquare(np.bincount(draws % modulus, minlength=modulus)).pvalue
