"""Integer noise against OpenDP's vector samplers: `python -m benchmarks.private_noise [--rounds 5] [--save]`.

Draws per second of CPU time, on one core, ours and the peer in turn, the best round of each. Then what an observer of
the time could learn: the correlation between the time of a single draw and the size of what was drawn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import opendp.prelude as dp

from benchmarks.report import save, table
from gpu.leaves import Floats
from gpu.private import noise

SCALES = {"1": 1, "10": 10, "1000": 1000, "2^20": 2**20, "2^40": 2**40}
N_DRAWS, N_PEER_DRAWS = 1_000_000, 20_000
N_TIMED = 100_000
OWN: dict[str, Callable[[int, int], Floats]] = {
    "discrete_laplace": noise.discrete_laplace,
    "discrete_gaussian": noise.discrete_gaussian,
    "rounded_gaussian": noise.rounded_gaussian,
}


def main() -> None:
    """Measures, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    speeds = [speed(name, scale, arguments.rounds) for name in OWN for scale in SCALES]
    print(table(list(speeds[0]), [list(one.values()) for one in speeds]), "\n")
    timings = [correlation(name, scale) for name in OWN for scale in ("10", "2^20")]
    print(table(list(timings[0]), [list(one.values()) for one in timings]))
    if arguments.save:
        print(save("private_noise", {"speeds": speeds, "timings": timings}))


def speed(name: str, scale: str, rounds: int) -> dict[str, Any]:
    """Of one law: a million of ours, twenty thousand of the peer's, which has no rounded Gaussian."""
    draw, theirs = OWN[name], peer(name.replace("rounded", "discrete"), SCALES[scale])
    draw(SCALES[scale], 1)
    ours_s = theirs_s = float("inf")
    for _ in range(rounds):
        ours_s = min(ours_s, cpu_s(lambda: draw(SCALES[scale], N_DRAWS)) / N_DRAWS)
        theirs_s = min(theirs_s, cpu_s(lambda: theirs([0] * N_PEER_DRAWS)) / N_PEER_DRAWS)
    return {"law": name, "scale": scale, "ours/s": 1 / ours_s, "OpenDP/s": 1 / theirs_s, "ratio": theirs_s / ours_s}


def peer(name: str, scale: int) -> Callable[[list[int]], list[int]]:
    """OpenDP's measurement that adds such noise to a vector of int64."""
    dp.enable_features("contrib")
    vector = dp.vector_domain(dp.atom_domain(T="i64"))
    if name == "discrete_laplace":
        return dp.m.make_laplace(vector, dp.l1_distance(T="i64"), scale=float(scale))
    return dp.m.make_gaussian(vector, dp.l2_distance(T="f64"), scale=float(scale))


def correlation(name: str, scale: str) -> dict[str, Any]:
    """Between the wall time of a single draw and |z|, without the slowest hundredth, which other work explains."""
    times, sizes = np.empty(N_TIMED), np.empty(N_TIMED)
    for i in range(N_TIMED):
        start = time.perf_counter_ns()
        drawn = OWN[name](SCALES[scale], 1)
        times[i], sizes[i] = time.perf_counter_ns() - start, abs(int(drawn[0]))
    kept = times < np.quantile(times, 0.99)
    large = sizes[kept] > np.quantile(sizes, 0.9)
    return {
        "law": name,
        "scale": scale,
        "corr(time, |z|)": float(np.corrcoef(times[kept], sizes[kept])[0, 1]),
        "2 sd by chance": 2 / np.sqrt(kept.sum()),
        "us, |z| small": float(np.median(times[kept][~large])) / 1e3,
        "us, |z| large": float(np.median(times[kept][large])) / 1e3,
    }


def cpu_s(action: Callable[[], object]) -> float:
    """The CPU time of one call."""
    start = time.process_time()
    action()
    return time.process_time() - start


if __name__ == "__main__":
    main()
