"""Fuzzed uploads: valid files of each format, mutated by a seeded generator, sent to a running service.

`python -m benchmarks.edge fuzz [--count 10000] [--seed 0]`. Everything must be answered 2xx or 4xx, memory stays
bounded, no pickle is loaded (one that is makes a folder, which is looked for), and the service answers afterwards.
"""

import base64
import io
import json
import os
import pickle
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.edge.bombs import CSV, JSONL, NPY, PARQUET, put
from benchmarks.edge.faulty_files import table_of
from benchmarks.edge.faulty_specs import SPEC
from benchmarks.edge.watch import Watch
from benchmarks.edge.wire import Sent, exchange, posted
from benchmarks.report import save
from deploy.local import LocalService

WEIGHTS = {"npy": 66, "jsonl": 30, "csv": 2, "parquet": 2}
"""CSV and Parquet start a process for each, 0.35 s: of 10,000 they are 400."""

INTERESTING = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"-1",
    b"(",
    b")",
    b"{",
    b"[",
    b'"',
    b",",
    b"\n",
    b"nan",
    b"1e999",
    b"|O8",
)
MAX_GROWTH_MIB = 64


class Fuzzed(NamedTuple):
    """What came of it."""

    statuses: dict[str, dict[int, int]]
    """By format."""
    wrong: list[str]
    """What was answered otherwise: format, number, status."""
    growth_mib: float
    seconds: float
    pickles_loaded: int


class _Loaded:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = str(mark)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (self._mark,)


def seeds(mark: Path) -> dict[str, list[bytes]]:
    """Valid files of each format, and pickles dressed as npy."""
    numbers = np.random.default_rng(0)
    arrays = [numbers.normal(size=(9, 3)), numbers.integers(0, 99, (40, 2)).astype("i4"), np.ones((1, 1), "f2")]
    columns = {"a": numbers.normal(size=50), "b": numbers.integers(0, 9, 50), "t": [f"t{i}" for i in range(50)]}
    rows = [",".join(map(str, row)) for row in arrays[0]]
    inline = {**SPEC, "x": {"npy": base64.b64encode(_npy(arrays[0])).decode()}}
    lines = [json.dumps({"custom_id": str(i), "spec": spec}) for i, spec in enumerate((SPEC, inline, SPEC))]
    return {
        "npy": [*map(_npy, arrays), _pickled(mark)],
        "csv": [("a,b,c\n" + "\n".join(rows)).encode(), "\n".join(rows).encode(), b'"x";y\n1;2,5\n3;4\n'],
        "parquet": [table_of(columns), table_of(columns, compression="zstd"), table_of(columns, version="1.0")],
        "jsonl": [("\n".join(lines)).encode(), (lines[1] + "\n").encode()],
    }


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _pickled(mark: Path) -> bytes:
    head = _npy(np.ones((1, 1))).replace(b"'<f8'", b"'|O' ")[:128]
    return head + pickle.dumps(np.array([[_Loaded(mark)]], dtype=object), protocol=4)


def mutated(body: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to eight changes: bits, bytes, cuts, repeats, numbers, and parts of another file."""
    data = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at : at + 1] = chance.choice(INTERESTING)
            case 2:
                del data[at : at + chance.choice((1, 2, 8, 64, 10_000))]
            case 3:
                data[at:at] = data[at : at + chance.choice((1, 8, 64))] * chance.choice((1, 2, 100))
            case 4:
                data[at:at] = str(chance.choice((0, -1, 2**31, 2**63, 10**30, 1e308))).encode()
            case 5:
                other = chance.choice(others)
                data[at:] = other[chance.randrange(len(other)) :]
            case _:
                data[at : at + 4] = chance.randbytes(4)
    return bytes(data)


def requests(count: int, seed: int, mark: Path) -> Iterator[tuple[str, Sent]]:
    """The uploads, each with its format; the same for the same seed."""
    chance, files = random.Random(seed), seeds(mark)
    formats = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    types = {"npy": NPY, "csv": CSV, "parquet": PARQUET}
    for format in formats:
        body = mutated(chance.choice(files[format]), files[format], chance)
        yield format, posted("/v1/batches", body, JSONL) if format == "jsonl" else put(body, types[format])


def fuzz(local: LocalService, count: int, seed: int) -> Fuzzed:
    """Send them one after another."""
    statuses: dict[str, Counter[int]] = {format: Counter() for format in WEIGHTS}
    wrong = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Watch(local.port, local.pids["service"], pause_s=0.5) as watch:
        mark = Path(folder, "loaded")
        for number, (format, sent) in enumerate(requests(count, seed, mark)):
            answer = exchange(local.port, sent)
            statuses[format][answer.status] += 1
            if not (200 <= answer.status < 300 or (400 <= answer.status < 500 and answer.problem)):
                wrong.append(f"{format} {number}: {answer.status}")
        loaded = int(mark.exists())
    seconds = time.perf_counter() - started
    counted = {format: dict(sorted(counts.items())) for format, counts in statuses.items()}
    return Fuzzed(counted, wrong, watch.cost.growth_mib, seconds, loaded)


def main(keep: bool, count: int, seed: int) -> None:
    """Print what was answered, and whether the bounds hold."""
    with tempfile.TemporaryDirectory() as folder, LocalService(Path(folder, "data"), workers=0) as local:
        found = fuzz(local, count, seed)
        alive = exchange(local.port, posted("/v1/jobs", json.dumps(SPEC).encode())).status == 202
    for format, counts in found.statuses.items():
        print(f"{format:8}", counts)
    print(f"{count} uploads in {found.seconds:.0f} s; neither 2xx nor a 4xx problem: {found.wrong or 'none'}")
    print(f"RSS growth {found.growth_mib:.1f} MiB (bound {MAX_GROWTH_MIB}); pickles loaded {found.pickles_loaded}")
    print(f"the service takes a job afterwards: {alive}")
    if keep:
        save("fuzz", {"seed": seed, "uploads": count, "takes a job afterwards": alive, **found._asdict()})
