"""The Lua scripts of this folder, one for each transition, with what they share put in front."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis knows it."""

    text: bytes
    sha: str
    """Its SHA-1 in hex, by which EVALSHA calls it."""


def load(folder: Path = FOLDER) -> dict[str, Script]:
    """All scripts by their file's name; they never travel unless Redis has forgotten them."""
    shared = (folder / f"{SHARED}.lua").read_bytes()
    return {path.stem: _assemble(path, shared) for path in sorted(folder.glob("*.lua")) if path.stem != SHARED}


def _assemble(path: Path, shared: bytes) -> Script:
    flags, _, body = path.read_bytes().partition(b"\n")  # Redis wants the flags in the first line
    text = flags + b"\n" + shared + b"\n" + body
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
