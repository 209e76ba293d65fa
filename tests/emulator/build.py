"""A kernel instance as a shared library, compiled by the clang inside the ziglang wheel and kept between runs."""

import ctypes
import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
HEADERS = ("cuda_on_cpu.h", "fibers.h")
CACHE = Path(tempfile.gettempdir()) / f"mercer-emulator-{os.getuid()}"

ZIG = (sys.executable, "-m", "ziglang")
TARGET = f"{platform.machine()}-linux-gnu"
"""Named, or Zig would read the system's headers, which need not be there."""
FLAGS = (
    *("-std=c++20", "-O0", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror"),
    *("-fsanitize=undefined", "-fstrict-flex-arrays=3"),
    # Nothing that would call into a run-time library: the link step below has none.
    *("-nostdinc++", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-stack-protector"),
    *("-U_FORTIFY_SOURCE", "-target", TARGET),
    *("-I", str(FOLDER)),
)

STUB = """\
#include "cuda_on_cpu.h"
namespace {{
{source}
#line 1 "stub"
using Instance = emulator::Kernel<&{expression}>;
}}
extern "C" const char* signature() {{ return Instance::signature(); }}
extern "C" const char* run(const emulator::Launch* launch, void** arguments) {{
    return emulator::run(*launch, Instance::invoke, arguments);
}}
"""


@cache
def library(text: str, expression: str) -> ctypes.CDLL:
    """The kernel instance of this source text.

    Raises:
        RuntimeError: it does not compile, or not without a warning.
    """
    # libm's functions are looked up in what the process has loaded.
    ctypes.CDLL("libm.so.6", mode=ctypes.RTLD_GLOBAL)
    stub = STUB.format(source=text, expression=expression)
    built = ctypes.CDLL(str(_built(stub)))
    built.signature.restype = built.run.restype = ctypes.c_char_p
    return built


def _built(stub: str) -> Path:
    """The library's file, compiled unless an equal one is there."""
    texts = (stub, *((FOLDER / header).read_text() for header in HEADERS), *FLAGS, version("ziglang"))
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
    path = CACHE / f"{key}.so"
    CACHE.mkdir(exist_ok=True, mode=0o700)
    with (CACHE / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may be about to compile the same
        if not path.exists():
            _compile(stub, path)
    return path


def _compile(stub: str, path: Path) -> None:
    source, unlinked, unfinished = (path.with_suffix(suffix) for suffix in (".cpp", ".o", ".tmp"))
    source.write_text(stub)
    _zig("c++", *FLAGS, "-c", source, "-o", unlinked)
    # A link of its own with -nostdlib: linked in one step, Zig first builds its C library, for several seconds.
    _zig("c++", "-target", TARGET, "-nostdlib", "-shared", unlinked, "-o", unfinished)
    unlinked.unlink()
    unfinished.rename(path)


def _zig(*arguments: str | Path) -> None:
    caches = {f"ZIG_{scope}_CACHE_DIR": str(CACHE / "zig") for scope in ("GLOBAL", "LOCAL")}
    done = subprocess.run([*ZIG, *map(str, arguments)], env={**os.environ, **caches}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"zig {arguments[0]} failed:\n{done.stderr}")
