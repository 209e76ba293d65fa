"""Sends every bomb to a running service and prints what the worst of them cost it."""

import tempfile
from pathlib import Path

from benchmarks.edge.bombs import Bomb, bombs
from benchmarks.edge.watch import PAUSE_S, Cost, Watch
from benchmarks.edge.wire import Answer, exchange
from benchmarks.report import save, table
from deploy.local import LocalService

SETTINGS = {"MERCER_MAX_UPLOAD_BYTES": str(2**27)}
"""128 MiB: what is refused by its size is refused by a claim, whatever the limit."""

SHOWN = 12
COLUMNS = ("bomb", "status", *Cost._fields)


def refused(bomb: Bomb, answer: Answer) -> bool:
    """Whether it was answered as it should."""
    return answer.status in bomb.statuses and (not bomb.document or answer.problem is not None)


def sent(local: LocalService, bomb: Bomb, pause_s: float = PAUSE_S) -> tuple[Answer, Cost]:
    """One bomb on a running service."""
    request = bomb.make()
    with Watch(local.port, local.pids["service"], pause_s) as watch:
        answer = exchange(local.port, request)
    return answer, watch.cost


def main(keep: bool) -> None:
    """Print the costliest, the worst of each cost, and whether all were refused."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalService(Path(folder, "data"), workers=0, environment=SETTINGS) as local,
    ):
        found = [(bomb, *sent(local, bomb)) for bomb in bombs()]
    rows = [(bomb.name, answer.status, *cost) for bomb, answer, cost in found]
    print(table(COLUMNS, sorted(rows, key=lambda row: -row[3])[:SHOWN]))
    wrong = [bomb.name for bomb, answer, _ in found if not refused(bomb, answer)]
    worst = {name: max(getattr(cost, name) for _, _, cost in found) for name in Cost._fields}
    print(f"{len(found)} bombs, refused as they should {len(found) - len(wrong)}, not {wrong or 'one'}; worst {worst}")
    if keep:
        costs = {bomb.name: cost._asdict() for bomb, _, cost in found}
        save("bombs", {"sent": len(found), "not refused": wrong, "worst": worst, "bombs": costs})
