"""What the optimal plan between numbers on a line moves, atom by atom; compiled.

The plan is monotone: it gives mass in the order of the numbers, so the atoms of both sides are merged by their masses.
Where the masses are whole numbers, as those of uniform measures can be made, every step of it is exact.
"""

from __future__ import annotations

from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats


@inner
def _pull(difference: float, p: float) -> float:
    """sgn(t) |t|^(p-1)."""
    if p == 2:
        return difference
    if difference == 0:
        return 0.0
    return (1.0 if difference > 0 else -1.0) * abs(difference) ** (p - 1)


@outer
def residuals(
    u: Floats, order: Floats, v: Floats, masses: Floats, given: Floats, p: float, out: Floats, costs: Floats
) -> None:
    """Of each slice, out[l, i] = sum_j plan(i, j) sgn(u_i - v_j) |u_i - v_j|^(p-1) / masses[i], and its cost.

    Args:
        u: (L, n) projections of x, as they come.
        order: (L, n) integers that sort each row of u.
        v: (L, m) projections of y, sorted.
        masses: (n,) float64 of the atoms of x.
        given: (L, m) or (1, m) float64, the masses of y in the order of v; their sum is that of `masses`.
        p: The power of the cost.
        out: (L, n); 0 for an atom without mass.
        costs: (L,) float64, sum_ij plan(i, j) |u_i - v_j|^p / sum(masses).
    """
    n, m = u.shape[1], v.shape[1]
    for row in range(len(u)):
        side = given[row % len(given)]
        out[row] = 0
        cost = total = 0.0
        i = j = 0
        left, right = masses[order[row, 0]], side[0]
        while i < n:
            # Rounding leaves slivers of mass: the last atom of either side takes or gives what is left.
            moved = left if j == m - 1 else right if i == n - 1 else min(left, right)
            if moved > 0:
                at = order[row, i]
                difference = float(u[row, at]) - float(v[row, j])
                pull = _pull(difference, p)
                out[row, at] += moved * pull / masses[at]
                cost += moved * pull * difference
                total += moved
            left, right = left - moved, right - moved
            if j == m - 1 or (i < n - 1 and left <= right):
                i += 1
                left = masses[order[row, i]] if i < n else 0.0
            else:
                j += 1
                right = side[j]
        costs[row] = cost / total
