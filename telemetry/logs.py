"""How a process logs: one line of text or one JSON object for each event, on stderr.

Neither holds data of a job: of an exception they show the type and the places in the code, not what it says, because
messages of NumPy, pydantic and others quote values.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

Format = Literal["text", "json"]

_Exception = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(form: Format, level: int = logging.INFO) -> None:
    """Log to stderr, for the whole process, once."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler])


class TextFormatter(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatException(self, ei: _Exception) -> str:
        """Where it was raised, but not what it says."""
        return _where(ei)


class JsonFormatter(logging.Formatter):
    """For machines: time, level, logger, message, and of an exception its type and where it was raised."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            event |= {"exception": record.exc_info[0].__name__, "where": _where(record.exc_info)}
        return json.dumps(event, ensure_ascii=False)


def _where(ei: _Exception) -> str:
    kind, _, trace = ei
    return f"{kind.__name__ if kind else None}, raised at\n{''.join(traceback.format_tb(trace))}".rstrip()
