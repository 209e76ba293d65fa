"""The Lua scripts of this folder, one for each transition, with what it needs of what they share put in front."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
SHARED = "shared"

_COMMENT = re.compile(r"--.*")
_DEFINITION = re.compile(r"^(?=local )", re.MULTILINE)
_DEFINED = re.compile(r"local (?:function )?([\w, ]+)")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis knows it."""

    text: bytes
    sha: str
    """Its SHA-1 in hex, by which EVALSHA calls it."""


def load(folder: Path = FOLDER) -> dict[str, Script]:
    """All scripts by their file's name; they never travel unless Redis has forgotten them."""
    text = _COMMENT.sub("", (folder / f"{SHARED}.lua").read_text())
    shared = [definition for definition in _DEFINITION.split(text) if definition.strip()]
    return {path.stem: _assemble(path, shared) for path in sorted(folder.glob("*.lua")) if path.stem != SHARED}


def _assemble(path: Path, shared: list[str]) -> Script:
    flags, _, body = path.read_text().partition("\n")  # Redis wants the flags in the first line
    body = _COMMENT.sub("", body)
    for definition in reversed(shared):  # each uses only what stands above it
        # Every call of a script makes all of its functions anew: of those that it never calls that costs 10 us.
        if any(re.search(rf"\b{name}\b", body) for name in _names(definition)):
            body = definition + body
    text = f"{flags}\n{body}".encode()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


def _names(definition: str) -> list[str]:
    match = _DEFINED.match(definition)
    assert match is not None
    return match[1].replace(",", " ").split()
