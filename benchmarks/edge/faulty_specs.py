"""Job specs that ask for a lot, or are none."""

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

from benchmarks.edge.faulty_files import npy

SPEC: dict[str, Any] = {"kind": "gram", "kernel": {"family": "gaussian"}, "x": [[0.0, 0.0], [3.0, 4.0]]}
ABSENT = "0" * 32


def with_kernel(kernel: str) -> bytes:
    """A spec with a kernel written by hand."""
    return b'{"kind": "gram", "x": [[0, 0]], "kernel": ' + kernel.encode() + b"}"


def with_x(points: str) -> bytes:
    """A spec with points written by hand."""
    return b'{"kind": "gram", "kernel": {"family": "gaussian"}, "x": ' + points.encode() + b"}"


def nested_scale(depth: int) -> str:
    """A kernel of great depth."""
    return '{"family": "scale", "factor": 1, "kernel": ' * depth + '{"family": "linear"}' + "}" * depth


def wide_sum(width: int) -> str:
    """A kernel of great width."""
    return '{"family": "sum", "terms": [' + ",".join(['{"family": "linear"}'] * width) + "]}"


def branching(depth: int) -> str:
    """Sums of two sums of two sums ...: as many families as there can be in few levels."""
    kernel = '{"family": "linear"}'
    for _ in range(depth):
        kernel = f'{{"family": "sum", "terms": [{kernel}, {kernel}]}}'
    return kernel


def reference(digest: str, **selection: Any) -> bytes:
    """A spec on a data set."""
    return json.dumps({**SPEC, "x": {"dataset": digest, **selection}}).encode()


def inline(file: bytes) -> bytes:
    """A spec with an npy file in base64."""
    return json.dumps({**SPEC, "x": {"npy": base64.b64encode(file).decode()}}).encode()


SPECS: dict[str, Callable[[], bytes]] = {
    "lists 100,000 deep": lambda: b"[" * 100_000,
    "a spec 100,000 deep": lambda: with_x("[" * 100_000 + "]" * 100_000),
    "objects 100,000 deep": lambda: b'{"kind":' * 100_000,
    "an integer of 5,000 digits": lambda: with_x(f"[[{'9' * 5_000}, 1]]"),
    "a parameter of 5,000 digits": lambda: with_kernel(f'{{"family": "gaussian", "lengthscale": {"9" * 5_000}}}'),
    "a number of a million digits": lambda: with_x(f"[[0.{'1' * 1_000_000},1],[1]]"),
    "an exponent of 5,000 digits": lambda: with_x(f"[[1e{'9' * 5_000}]]"),
    "1e999": lambda: with_x("[[1e999]]"),
    "NaN": lambda: with_x("[[NaN]]"),
    "Infinity": lambda: with_x("[[Infinity, -Infinity]]"),
    "a parameter NaN": lambda: with_kernel('{"family": "gaussian", "lengthscale": NaN}'),
    "a parameter 1e999": lambda: with_kernel('{"family": "gaussian", "lengthscale": 1e999}'),
    "a boolean as a number": lambda: with_x("[[true]]"),
    "text as a number": lambda: with_x('[["1.5"]]'),
    "UTF-16": lambda: json.dumps(SPEC).encode("utf-16"),
    "UTF-32": lambda: json.dumps(SPEC).encode("utf-32-le"),
    "a byte order mark": lambda: b"\xef\xbb\xbf" + json.dumps(SPEC).encode(),
    "bytes that are no UTF-8": lambda: with_x("[[0]]").replace(b"gaussian", b"\xff\xfe\x80"),
    "half a surrogate": lambda: with_kernel('{"family": "\\ud800"}'),
    "a NUL": lambda: b"\x00" + json.dumps(SPEC).encode(),
    "nothing": lambda: b"",
    "a million spaces": lambda: b" " * 1_000_000,
    "an unfinished text": lambda: b'{"kind": "' + b"g" * 1_000_000,
    "a key of a million letters": lambda: b'{"kind": "gram", "' + b"k" * 1_000_000 + b'": 1}',
    "100,000 keys": lambda: json.dumps(SPEC | {f"k{i}": 0 for i in range(70_000)}).encode(),
    "the same unknown key 100,000 times": lambda: b'{"kind": "gram",' + b'"k":1,' * 100_000 + b'"k":1}',
    "half a million numbers": lambda: with_x("[[" + ",".join(["1"] * 500_000) + "]]"),
    "half a million words": lambda: with_x("[[" + ",".join(['"a"'] * 250_000) + "]]"),
    "200,000 rows": lambda: with_x("[" + ",".join(["[1]"] * 200_000) + "]"),
    "200,000 ragged rows": lambda: with_x("[" + ",".join(["[1]", "[1,2]"] * 90_000) + "]"),
    "200,000 empty rows": lambda: with_x("[" + ",".join(["[]"] * 300_000) + "]"),
    "a kernel 10,000 deep": lambda: with_kernel(nested_scale(10_000)),
    "a kernel 60 deep": lambda: with_kernel(nested_scale(60)),
    "a sum of 40,000": lambda: with_kernel(wide_sum(40_000)),
    "a sum of 40,000 faults": lambda: with_kernel(wide_sum(40_000).replace("linear", "nonesuch")),
    "16,384 families in sums of sums": lambda: with_kernel(branching(14)),
    "100,000 lengthscales": lambda: with_kernel(f'{{"family": "gaussian", "lengthscale": {[1] * 300_000}}}'),
    "300,000 wrong lengthscales": lambda: with_kernel(
        json.dumps({"family": "gaussian", "lengthscale": ["a"] * 150_000})
    ),
    "100,000 active dimensions": lambda: with_kernel(
        json.dumps({"family": "gaussian", "active_dimensions": [0] * 300_000})
    ),
    "a power of 10^4,000": lambda: with_kernel(
        f'{{"family": "power", "kernel": {{"family": "linear"}}, "exponent": 1{"0" * 4_000}}}'
    ),
    "300,000 columns": lambda: reference(f"sha256:{ABSENT * 2}", columns=list(range(100_000))),
    "150,000 faulty columns": lambda: reference(f"sha256:{ABSENT * 2}", columns=[{}] * 150_000),
    "9,000 faulty columns": lambda: reference(f"sha256:{ABSENT * 2}", columns=[{}] * 9_000),
    "columns of a million letters": lambda: reference(f"sha256:{ABSENT * 2}", columns=["c" * 1_000_000]),
    "300,000 rows of a data set": lambda: reference(f"sha256:{ABSENT * 2}", rows=[0] * 300_000),
    "150,000 faulty rows": lambda: reference(f"sha256:{ABSENT * 2}", rows=["a"] * 150_000),
    "rows of 10^4,000": lambda: reference(f"sha256:{ABSENT * 2}", rows={"start": 10**4_000}),
    "a digest of a million letters": lambda: reference("sha256:" + "a" * 1_000_000),
    "a digest with a path": lambda: reference("sha256:../../../../etc/passwd"),
    "a kind of a million letters": lambda: b'{"kind": "' + b"g" * 1_000_000 + b'"}',
    "inline npy of (40,000, 40,000)": lambda: inline(npy("<f8", "(40000, 40000)")),
    "inline npy of (2^32, 2^32)": lambda: inline(npy("<f8", "(4294967296, 4294967296)")),
    "inline npy of objects": lambda: inline(npy("|O", "(1, 1)", b"cos\nsystem\n")),
    "inline npy of NaN": lambda: inline(npy("<f8", "(1, 1)", struct.pack("<d", float("nan")))),
    "inline npy of a million letters": lambda: json.dumps(SPEC | {"x": {"npy": "A" * 1_000_000}}).encode(),
    "inline npy of one number in 3 dimensions": lambda: inline(npy("<f8", "(1, 1, 1)", b"\0" * 8)),
    "inline npy without points": lambda: inline(npy("<f8", "(0, 9007199254740992)")),
}
"""Bodies of POST /v1/jobs; each is also sent as the only job of {"jobs": [...]} and as a line of a batch."""
