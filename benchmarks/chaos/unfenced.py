"""The queue with its fence taken away: whoever reports an outcome is believed, and no lease is ever said to be lost.

Planted into the scripts of one process; the checker has to find it.
"""

import tempfile
from functools import partial
from pathlib import Path
from shutil import copytree

from broker import scripts, worker_broker

FENCE = "local held = redis.call('HMGET', lease_key(lease), '@queue', unpack(ids))"
NO_FENCE = """
held[1] = held[1] or redis.call('HGET', job_key(ids[1]), 'queue')
for n, id in ipairs(ids) do held[n + 1] = held[n + 1] or redis.call('HGET', job_key(id), 'entry') end
"""
HELD = "return stop"
ALWAYS_HELD = "return stop or ''"


def plant() -> None:
    """Make this process load patched scripts."""
    folder = Path(tempfile.mkdtemp(prefix="mercer-unfenced-"))
    copytree(scripts.FOLDER, folder, dirs_exist_ok=True, ignore=lambda _, names: [n for n in names if n[-4:] != ".lua"])
    replace(folder / "finish.lua", FENCE, FENCE + NO_FENCE)
    replace(folder / "renew.lua", HELD, ALWAYS_HELD)
    worker_broker.load = partial(scripts.load, folder)


def replace(path: Path, old: str, new: str) -> None:
    """In a file that must hold the old text once."""
    text = path.read_text()
    if text.count(old) != 1:
        raise RuntimeError(f"{path.name} has changed: look for the fence anew")
    path.write_text(text.replace(old, new))
