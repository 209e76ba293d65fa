"""How benchmarks.private_density shows what mechanisms are off by: tables for benchmarks/README.md, and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """What one mechanism is off by at one epsilon."""

    method: str
    epsilon: float
    value: float
    elsewhere: float | None = None
    """The same of another implementation."""
    noise: float | None = None
    """The standard deviation of the noise alone, as the release states it."""
    query_us: float | None = None
    """Processor time of one of many questions asked together."""


def markdown(name: str, measure: str, rows: Sequence[Row]) -> str:
    """The table as benchmarks/README.md has it: in brackets what was had elsewhere."""
    epsilons = sorted({row.epsilon for row in rows})
    lines = [
        f"| {name}: {measure} | " + " | ".join(f"epsilon = {epsilon:g}" for epsilon in epsilons) + " | us a query |",
        "|---" * (len(epsilons) + 2) + "|",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        own = {row.epsilon: row for row in rows if row.method == method}
        cells = [_cell(own.get(epsilon)) for epsilon in epsilons]
        times = [row.query_us for row in own.values() if row.query_us is not None]
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {f'{min(times):.0f}' if times else ''} |")
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row.value:.2g}" + ("" if row.elsewhere is None else f" ({row.elsewhere:.2g})")


def draw(sections: Mapping[str, Any], path: Path) -> Path:
    """A panel for each section; rings are what was had elsewhere."""
    from matplotlib.figure import Figure  # optional

    columns = min(3, len(sections))
    lines = -(-len(sections) // columns)
    figure = Figure(figsize=(5 * columns, 3.8 * lines), layout="constrained")
    for axes, (name, section) in zip(
        figure.subplots(lines, columns, squeeze=False).flat, sections.items(), strict=False
    ):
        rows = [Row(**row) for row in section["rows"]]
        for method in dict.fromkeys(row.method for row in rows):
            own = [row for row in rows if row.method == method]
            (line,) = axes.plot([row.epsilon for row in own], [row.value for row in own], marker=".", label=method)
            there = [row for row in own if row.elsewhere is not None]
            axes.plot(
                [row.epsilon for row in there],
                [row.elsewhere for row in there],
                marker="o",
                fillstyle="none",
                linestyle="none",
                color=line.get_color(),
            )
        axes.set(title=name, xlabel="epsilon", ylabel=section["measure"], xscale="log", yscale="log")
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    return path
