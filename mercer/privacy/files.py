"""How a release lies in a file: one .npz with its numbers and its public parameters."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mercer.arrays import npy_sha256
from mercer.privacy.grid import Floats


def save_release(vector: Floats, parameters: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write one."""
    with Path(path).open("wb") as file:
        np.savez(file, vector=vector, parameters=np.array(json.dumps(parameters)))
    return Path(path)


def is_published(vector: Floats, parameters: Mapping[str, Any]) -> bool:
    """Whether these are the numbers that were published with the parameters."""
    return vector.dtype == np.int64 and npy_sha256(vector) == parameters["vector_sha256"]
