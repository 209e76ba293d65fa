"""How numba compiles for this project: the one place that knows its options and where its cache lies.

numba keys its cache by the caller's file alone, so a change in a callee would go unseen: the folder is therefore named
by a hash of all sources that are compiled.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.extending

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def _cache_folder() -> Path:
    """Of this version of the sources and of numba, in the user's cache, or else among the temporary files."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    version = hashlib.sha256(sources + numba.__version__.encode()).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for root in (Path(home), Path(tempfile.gettempdir())):
        folder = root / "mercer" / "compiled" / version
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp())


if not os.environ.get("NUMBA_CACHE_DIR"):
    vars(numba.config)["CACHE_DIR"] = str(_cache_folder())


def intrinsic(typed: Callable[..., Any]) -> Any:
    """A function that is written in LLVM's instructions, for compiled code to call."""
    return numba.extending.intrinsic(typed)


def overload(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """What compiled code calls in a function's place, chosen by the types of its arguments."""
    chosen: Callable[[Callable[..., Any]], Any] = numba.extending.overload(function)
    return chosen


def inner(function: Compiled) -> Compiled:
    """Compile as a part of the functions that call it."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Compiled, compiled)


def outer(function: Compiled) -> Compiled:
    """Compile once on this machine: the entry points, which other processes load from the cache."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    return cast(Compiled, compiled)


def summing(function: Compiled) -> Compiled:
    """As `outer`, where sums may be taken in any order: only then can they be taken many at a time."""
    any_order = {"reassoc", "nsz", "contract"}
    compiled: Any = numba.njit(nogil=True, error_model="numpy", cache=True, fastmath=any_order)(function)
    return cast(Compiled, compiled)
