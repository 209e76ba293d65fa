"""Small requests that ask for a lot, and malformed ones: each must be refused with a problem document, soon.

Printed by `python -m benchmarks.edge bombs`; the tests send them too.
"""

import gzip
import json
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from benchmarks.edge.faulty_files import CSV_FILES, MIB, NPY_FILES, PARQUET_FILES, npy
from benchmarks.edge.faulty_specs import ABSENT, SPEC, SPECS, with_x
from benchmarks.edge.wire import JSON, Sent, chunked, posted, request

NPY, CSV, PARQUET, JSONL = "application/x-npy", "text/csv", "application/vnd.apache.parquet", "application/jsonl"


class Bomb(NamedTuple):
    """A request to refuse."""

    name: str
    make: Callable[[], Sent]
    statuses: tuple[int, ...]
    """What it may be answered with."""
    document: bool = True
    """Whether a problem document says why."""


def put(body: bytes, content_type: str, **headers: str) -> Sent:
    """An upload under its own digest."""
    path = f"/v1/datasets/sha256:{sha256(body).hexdigest()}"
    return request("PUT", path, {"Content-Type": content_type, **headers}, body)


def line(spec: bytes, name: str = "a") -> bytes:
    """A line of a batch file."""
    return b'{"custom_id": "%b", "spec": %b}\n' % (name.encode(), spec)


def requests() -> list[Bomb]:
    """All that is wrong with requests beside their documents."""
    return [Bomb(name, *rest) for name, rest in {**_framed(), **_addressed(), **_bodied()}.items()]


def _framed() -> dict[str, tuple[Any, ...]]:
    """Lengths and codings that lie; what the HTTP parser itself refuses has no problem document."""
    form = {"Content-Type": JSON}
    huge, chunks = form | {"Content-Length": str(2**40)}, form | {"Transfer-Encoding": "chunked"}
    twice = b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    spaces = gzip.compress(b" " * 50_000_000)
    post = partial(request, "POST", "/v1/jobs")
    point = npy("<f8", "(1, 1)", b"\0" * 8)
    return {
        "gzip of 50 MB of spaces": (lambda: post(form | {"Content-Encoding": "gzip"}, spaces), (415,)),
        "a data set in gzip": (lambda: put(gzip.compress(point), NPY, **{"Content-Encoding": "gzip"}), (415,)),
        "a data set under another digest": (lambda: put(point, NPY)._replace(body=(point[:-1] + b"\1",)), (422,)),
        "a form": (lambda: posted("/v1/jobs", b"a=1", "application/x-www-form-urlencoded"), (415,)),
        "Content-Length of 1 TB": (lambda: post(huge), (413,)),
        "Expect: 100-continue and 1 TB": (lambda: post(huge | {"Expect": "100-continue"}), (413,)),
        "Content-Length of 5,000 digits": (lambda: post(form | {"Content-Length": "9" * 5_000}), (400, 413), False),
        "Content-Length -1": (lambda: post(form | {"Content-Length": "-1"}, b"{}"), (400,), False),
        "Content-Length and chunks": (lambda: post(chunks | {"Content-Length": "5"}, b"{}"), (400,), False),
        "two Content-Lengths": (lambda: Sent(twice, (b"{}",)), (400,), False),
        "20 MB in chunks": (lambda: post(chunks)._replace(body=chunked([b" " * MIB] * 20)), (413,)),
    }


def _addressed() -> dict[str, tuple[Any, ...]]:
    """Addresses, parameters and headers."""
    form = {"Content-Type": JSON}
    get = partial(request, "GET")
    jobs, job = "/v1/jobs", f"/v1/jobs/{ABSENT}"
    key = form | {"Idempotency-Key": "k" * 60_000}
    return {
        "an idempotency key of 60,000 letters": (lambda: request("POST", jobs, key, b"{}"), (400, 431)),
        "Prefer of 20,000 tokens": (lambda: request("POST", jobs, form | {"Prefer": "a," * 20_000}), (400, 431)),
        "Accept of 5,000 ranges": (lambda: get(f"{job}/result", {"Accept": "a/b;q=0.1," * 5_000}), (404, 431)),
        "an id of 30,000 letters": (lambda: get(f"{jobs}/{'a' * 30_000}"), (404, 414)),
        "an id with a NUL": (lambda: get(f"{jobs}/%00%0a%ff"), (404,)),
        "a path of dots": (lambda: get("/v1/datasets/sha256:..%2f..%2f..%2fetc%2fpasswd"), (400, 404)),
        "a limit of 10^4,000": (lambda: get(f"{jobs}?limit=1{'0' * 4_000}"), (400,)),
        "wait=nan": (lambda: get(f"{job}?wait=nan"), (400,)),
        "wait=1e999": (lambda: get(f"{job}?wait=1e999"), (400,)),
        "a cursor of 20,000 digits": (lambda: get(f"{jobs}?cursor={'9' * 20_000}-1"), (400,)),
        "10,000 query parameters": (lambda: get(f"{jobs}?{'a=1&' * 10_000}limit=0"), (400, 414)),
    }


def _bodied() -> dict[str, tuple[Any, ...]]:
    """Bodies that are no single spec."""
    spec = json.dumps(SPEC).encode()
    ids = json.dumps({"ids": [ABSENT] * 20_000}).encode()
    many = b'{"jobs": [%b]}'
    numbers, objects = with_x("[[" + "1," * 4_000_000 + "1]]"), b"{}," * 2_700_000 + b"{}"
    faulty = b",".join([spec.replace(b"gaussian", b"g" * 500)] * 1_000)
    wait, results, batches = "/v1/jobs/wait", "/v1/jobs/results", "/v1/batches"
    return {
        "20,000 ids": (lambda: posted(results, ids), (422,)),
        "20,000 ids to wait for": (lambda: posted(wait, ids), (422,)),
        "an id of a million letters": (lambda: posted(wait, b'{"ids": ["' + b"a" * 1_000_000 + b'"]}'), (422,)),
        "300,000 faulty ids": (lambda: posted(results, b'{"ids": [' + b"{}," * 300_000 + b"{}]}"), (413,)),
        "wait_s of 1e999": (lambda: posted(wait, b'{"ids": ["a"], "wait_s": 1e999}'), (400, 422)),
        "ids 100,000 deep": (lambda: posted(wait, b'{"ids": ' + b"[" * 100_000), (413,)),
        "8 MB of numbers": (lambda: posted("/v1/jobs", many % numbers), (413,)),
        "8 MB of empty objects": (lambda: posted("/v1/jobs", many % objects), (413,)),
        "5,000 jobs": (lambda: posted("/v1/jobs", many % b",".join([spec] * 5_000)), (422,)),
        "1,000 faulty jobs": (lambda: posted("/v1/jobs", many % faulty), (422,)),
        "a batch of 10 million line ends": (lambda: posted(batches, b"\n" * 10_000_000, JSONL), (422,)),
        "a batch of one line of 10 MB": (lambda: posted(batches, b"[" * 10_000_000, JSONL), (422,)),
        "a batch of one id twice": (lambda: posted(batches, line(spec) * 2, JSONL), (422,)),
        "a custom_id of a million letters": (lambda: posted(batches, line(spec, "a" * 1_000_000), JSONL), (422,)),
    }


def doors() -> list[Bomb]:
    """Each faulty spec through each of its three doors."""
    found = []
    for name, body in SPECS.items():
        found += [
            Bomb(name, partial(_alone, body), (400, 413, 422)),
            Bomb(f"{name}, in bulk", partial(_in_bulk, body), (400, 413, 422)),
            Bomb(f"{name}, in a batch", partial(_in_batch, body), (422,)),
        ]
    return found


def _alone(body: Callable[[], bytes]) -> Sent:
    return posted("/v1/jobs", body())


def _in_bulk(body: Callable[[], bytes]) -> Sent:
    return posted("/v1/jobs", b'{"jobs": [' + body() + b"]}")


def _in_batch(body: Callable[[], bytes]) -> Sent:
    return posted("/v1/batches", line(body()), JSONL)


def _uploaded(make: Callable[[], bytes], content_type: str) -> Sent:
    return put(make(), content_type)


def files() -> list[Bomb]:
    """Each faulty file, uploaded."""
    kinds = ((NPY, NPY_FILES), (CSV, CSV_FILES), (PARQUET, PARQUET_FILES))
    return [
        Bomb(name, partial(_uploaded, make, kind), (413, 422))
        for kind, several in kinds
        for name, make in several.items()
    ]


def bombs() -> list[Bomb]:
    """All of them."""
    return [*doors(), *requests(), *files()]
