"""Least squares on a binary tree whose nodes are noisy sums of leaves: what makes parents the sums of their children.

With A the nodes' sums of the leaves, A^T A is diagonal in Haar's basis: a vector that is 1 on the left half of a node
of 2^l leaves and -1 on the right half has the eigenvalue 2^l - 1, the constant one 2 G - 1 for G leaves.
Hay, Rastogi, Miklau and Suciu, Boosting the accuracy of differentially private histograms (2010).
"""

from __future__ import annotations

import numpy as np

from mercer.privacy.grid import Floats


def consistent_leaves(nodes: Floats) -> Floats:
    """(G,): (A^T A)^-1 A^T nodes, nodes (2 G,) in the order of a heap, the root at 1."""
    size = len(nodes) // 2
    above, level = np.array([nodes[1]]), 2
    while level <= size:
        above = np.repeat(above, 2) + nodes[level : 2 * level]
        level *= 2
    sums = [above]
    while len(sums[-1]) > 1:
        sums.append(sums[-1][::2] + sums[-1][1::2])
    leaves = sums.pop() / (size * (2 * size - 1))
    while sums:
        parts = sums.pop()
        width = 2 * size // len(parts)
        step = (parts[::2] - parts[1::2]) / (width * (width - 1))
        leaves = np.repeat(leaves, 2) + np.stack([step, -step], axis=1).ravel()
    return leaves


def sign_variance(size: int) -> Floats:
    """(G + 1,): s^T (A^T A)^-1 s for the vector s of b ones and then G - b times -1; b = 0 ... G."""
    b = np.arange(size + 1)
    total = (2.0 * b - size) ** 2 / (size * (2.0 * size - 1))
    width = 2
    while width <= size:
        rest = b % width
        total = total + (2.0 * np.minimum(rest, width - rest)) ** 2 / (width * (width - 1.0))
        width *= 2
    return total
