"""Somebody who knows nothing of the queue: remembers what was accepted and all that was ever visible, and counts."""

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from benchmarks.chaos.jobs import POISON_FROM, right
from benchmarks.chaos.poison import quarantined

LOOK_EVERY_S = 0.5
IDS_AT_ONCE = 1_000
AWAY = (502, 503, 504)


class Away(Exception):
    """The service, or the queue behind it, does not answer now."""


class Answer(NamedTuple):
    """Of the service."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Verdict:
    """What the checker found."""

    accepted: int = 0
    lost: int = 0
    """Accepted, and now there is no such job."""
    changed: int = 0
    """A record or the bytes of a result are not what was visible first."""
    doubly_visible: int = 0
    """Jobs beyond one for each accepted submission."""
    stuck: int = 0
    """Have not ended."""
    quarantined: int = 0
    """Ended otherwise than with success, although nothing was wrong with them."""
    wrong: int = 0
    """The result is not the matrix of the formula."""
    poison_let_through: int = 0
    """Jobs that kill the process which computes them and are not `dead` for it."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(value for name, value in asdict(self).items() if name != "accepted")


class Checker:
    """Looks at all accepted jobs again and again from a thread of its own; a context manager.

    Args:
        port: Of the service, which may be away at any time.
    """

    def __init__(self, port: int) -> None:
        self.accepted: dict[str, int] = {}
        """The number of each job, by id."""
        self.first: dict[str, dict[str, Any]] = {}
        """The first record seen of each job that had ended."""
        self.results: dict[str, str] = {}
        """The digest of the bytes of its result, as first seen."""
        self.changes: list[tuple[str, Any, Any]] = []
        self._wrong: set[str] = set()
        self._missing: set[str] = set()
        self._http = HTTPConnection("127.0.0.1", port, timeout=10.0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_until_stopped, daemon=True)

    def __enter__(self) -> "Checker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._http.close()

    def settle(self, within_s: float) -> Verdict:
        """Wait until all jobs have ended, look at everything once more, and judge."""
        self._stop()
        deadline = time.monotonic() + within_s
        while len(self.first) + len(self._missing) < len(self.accepted) and time.monotonic() < deadline:
            self._try(self.look)
            time.sleep(0.2)
        ended = set(self.first)
        for step in (self.look, self._read_results, self._read_all_again):
            while not self._try(step) and time.monotonic() < deadline + 30:
                time.sleep(0.1)
        ends = {job_id: record["state"] for job_id, record in self.first.items()}
        poison = {job_id for job_id, number in self.accepted.items() if number >= POISON_FROM}
        return Verdict(
            accepted=len(self.accepted),
            lost=len(self._missing),
            changed=len({job_id for job_id, *_ in self.changes}),
            doubly_visible=len(set(self._listed()) - set(self.accepted)),
            stuck=len(set(self.accepted) - ended - self._missing),
            quarantined=sum(ends[job_id] != "succeeded" for job_id in ends.keys() - poison),
            wrong=len(self._wrong),
            poison_let_through=sum(not quarantined(self.first[job_id]) for job_id in ended & poison),
        )

    def look(self) -> None:
        """Compare every record that has ended with what it was when it was first seen."""
        ids = iter(list(self.accepted))
        while chunk := list(islice(ids, IDS_AT_ONCE)):
            shown = {record["id"]: record for record in self._ended(chunk)}
            for job_id in chunk:
                first, now = self.first.get(job_id), shown.get(job_id)
                if first is None and now is not None:
                    self.first[job_id] = now
                elif first != now:
                    self.changes.append((job_id, first, now))

    def _look_until_stopped(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            self._try(self.look)
            self._try(self._read_results)

    def _try(self, step: Any) -> bool:
        try:
            step()
        except Away:
            return False
        return True

    def _stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _ended(self, ids: list[str]) -> list[dict[str, Any]]:
        """The records of those that have ended; what is missing is noted."""
        asked = [job_id for job_id in ids if job_id not in self._missing]
        if not asked:
            return []
        answer = self._ask("POST", "/v1/jobs/wait", json.dumps({"ids": asked, "wait_s": 0}).encode())
        if answer.status == 404:
            self._missing |= {job_id for job_id in asked if self._ask("GET", f"/v1/jobs/{job_id}").status == 404}
            return self._ended(asked)
        return jobs_of(answer)["jobs"]

    def _read_results(self) -> None:
        """Of what has newly ended."""
        for job_id, record in list(self.first.items()):
            if record["state"] == "succeeded" and job_id not in self.results:
                self.results[job_id] = self._digest(job_id)

    def _read_all_again(self) -> None:
        for job_id, first in self.results.items():
            if job_id not in self._missing and (now := self._digest(job_id)) != first:
                self.changes.append((job_id, first, now))

    def _digest(self, job_id: str) -> str:
        answer = self._ask("GET", f"/v1/jobs/{job_id}/result", accept="application/x-npy")
        if answer.status != 200:
            return f"status {answer.status}"
        if not right(self.accepted[job_id], np.load(io.BytesIO(answer.body), allow_pickle=False)):
            self._wrong.add(job_id)
        return hashlib.sha256(answer.body).hexdigest()

    def _listed(self) -> Iterator[str]:
        """Every job that the service lists."""
        cursor = None
        while True:
            query = f"&cursor={cursor}" if cursor else ""
            body = jobs_of(self._ask("GET", f"/v1/jobs?limit=100{query}"))
            yield from (record["id"] for record in body["jobs"])
            cursor = body.get("next")
            if cursor is None:
                return

    def _ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        try:
            self._http.request(method, path, body, headers)
            response = self._http.getresponse()
            answer = Answer(response.status, response.read())
        except (OSError, HTTPException) as error:
            self._http.close()
            raise Away from error
        if answer.status in AWAY:
            raise Away
        return answer


def jobs_of(answer: Answer) -> dict[str, Any]:
    """The document that lists jobs."""
    if answer.status != 200:
        raise RuntimeError(f"expected jobs, got {answer.status} {answer.body[:500]!r}")
    return json.loads(answer.body)
