"""A job's server-sent events: parsed line by line, and resumed where a lost connection broke off."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel

from mercer.errors import ConnectionFailed, MercerError, Unavailable
from mercer.jobs import Job
from mercer.retries import RESTART_PATIENCE_S, backoff_s
from mercer.steps import Request

KEEP_ALIVE_S = 60.0
"""A stream that is silent for longer than this and the client's own timeout is taken as lost."""

AWAY = (ConnectionFailed, Unavailable)
"""What a stream outlasts."""


class Event(NamedTuple):
    """Something that happened to a job."""

    name: str
    """state or progress."""
    job: Job | None
    """Only with state."""
    progress: float


class _Progress(BaseModel):
    progress: float


class EventStream:
    """What is known of a job's stream of events: pure, the connection is somebody else's."""

    def __init__(self, job_id: str) -> None:
        self._path = f"/v1/jobs/{job_id}/events"
        self._last_id = ""
        self._failures = 0
        self._failed_s = 0.0
        self.ended = False
        self._clear()

    def request(self) -> Request:
        """Opens the stream, after the last event that was seen."""
        self._clear()
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        return Request("GET", self._path, headers=headers, held_s=KEEP_ALIVE_S)

    def feed(self, line: str) -> Event | None:
        """The event that this line completes, if it does."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = self._fields.get(name, "") + value.removeprefix(" ")
            return None
        fields, self._failures, self._failed_s = self._fields, 0, 0.0
        self._clear()
        if "data" not in fields:
            return None  # a comment that keeps the connection alive
        self._last_id = fields.get("id", self._last_id)
        return self._event(fields.get("event", ""), fields["data"])

    def check_end(self) -> None:
        """The connection was closed.

        Raises:
            ConnectionFailed: before the job had finished, as by a service that is being restarted.
        """
        if not self.ended:
            raise ConnectionFailed("The stream of events ended before the job did.")

    def rest_s(self, error: MercerError, jitter: float) -> float:
        """How long to rest before the stream is opened again.

        Raises:
            MercerError: the service has been away for too long.
        """
        if self._failed_s > RESTART_PATIENCE_S:
            raise error
        delay_s = backoff_s(self._failures, jitter)
        self._failures += 1
        self._failed_s += delay_s
        return delay_s

    def _clear(self) -> None:
        self._fields: dict[str, str] = {}

    def _event(self, name: str, data: str) -> Event | None:
        if name == "progress":
            return Event(name, None, _Progress.model_validate_json(data).progress)
        if name != "state":
            return None
        job = Job.model_validate_json(data)
        self.ended = job.done
        return Event(name, job, job.progress)
