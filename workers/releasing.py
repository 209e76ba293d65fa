"""How a private release is made: found if it was published, else computed and published; its duration tells little."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_core import to_json

from mercer.errors import NotProtected
from mercer.specs import Spec
from store.releases import Release

SHORTEST_S = 0.25
SLOW_FLOPS = 2e9
"""A second, of a release: a fifth of what one slow core does."""


def shortest_s(flops: int) -> float:
    """How long a release takes at least, by its public cost, which counts as many records as there may be.

    A release of fewer takes as long: its own time, and where it jumps when more features are asked for, would tell how
    many there are.
    """
    return max(SHORTEST_S, flops / SLOW_FLOPS)


@contextmanager
def quantised(shortest_s: float) -> Iterator[None]:
    """Let the block end, well or not, only when so long, or twice, four times, ... as long has passed."""
    began_s = time.monotonic()
    try:
        yield
    finally:
        passed_s = time.monotonic() - began_s
        steps = max(0, math.ceil(math.log2(max(passed_s, shortest_s) / shortest_s)))
        time.sleep(max(0.0, shortest_s * 2**steps - passed_s))


def paid_release(spec: Spec) -> str:
    """Under which id a release is published.

    Raises:
        NotProtected: nobody paid for it.
    """
    if (release_id := getattr(spec, "release_id", None)) is None:
        raise NotProtected("The release was not paid for: submit it to the service.")
    return str(release_id)


def record_of(release: Release) -> bytes:
    """The JSON of mercer.jobs.Result of a release, with its place in the store."""
    form = {"shape": release.vector.shape, "dtype": release.vector.dtype.name, "size_bytes": release.length}
    place = {"object": release.object, "offset": release.offset, "length": release.length}
    return to_json(form | {"facts": release.parameters} | place)
