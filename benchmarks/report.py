"""How benchmarks print and keep what they measured."""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns aligned, numbers to three digits."""
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def save(name: str, figures: Mapping[str, Any], *, device: str | None = None) -> Path:
    """Write figures with the device's name and the date to benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    about = {"device": device or cpu_name(), "date": datetime.now(UTC).date().isoformat()}
    path.write_text(json.dumps({**about, **figures}, indent=2, default=float) + "\n")
    return path


def cpu_name() -> str:
    """As Linux tells it, with the number of cores; the architecture elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.machine()
