"""Somebody who looks at jobs all the time and remembers what was visible first."""

import hashlib
import threading
import time

import httpx2

TERMINAL = {"succeeded", "failed", "cancelled", "expired", "dead"}


class Away(Exception):
    """The service, or the queue behind it, does not answer now."""


class Observer:
    """Polls jobs from a thread of its own; what a terminal job shows may never change again.

    Args:
        url: Of the service, which may be away at any time.
        ids: Of the jobs.
    """

    def __init__(self, url, ids):
        self.ids = list(ids)
        self.first = {}
        self.changes = []
        self.looks = 0
        self._client = httpx2.Client(base_url=url, timeout=5.0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_until_stopped, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()
        self._client.close()

    def wait(self, within_s):
        """Until every job has ended and was seen once more afterwards; their records."""
        until = time.monotonic() + within_s
        while len(self.first) < len(self.ids):
            missing = set(self.ids) - set(self.first)
            assert time.monotonic() < until, (
                f"{len(missing)} of {len(self.ids)} jobs did not end: {sorted(missing)[:3]}"
            )
            time.sleep(0.05)
        seen = self.looks
        while self.looks < seen + 2:
            assert time.monotonic() < until, "the service did not come back"
            time.sleep(0.05)
        assert self.changes == []
        return [self.first[job_id][0] for job_id in self.ids]

    def _look_until_stopped(self):
        while not self._stopped.wait(0.1):
            try:
                for job_id in self.ids:
                    self._look(job_id)
            except (Away, httpx2.TransportError):
                continue
            self.looks += 1

    def _look(self, job_id):
        answer = self._get(f"/v1/jobs/{job_id}")
        if answer.status_code != 200:
            self.changes.append((job_id, answer.status_code, answer.text))
            return
        record = answer.json()
        if record["state"] in TERMINAL:
            shown = (record, self._result(record))
            if self.first.setdefault(job_id, shown) != shown:
                self.changes.append((job_id, self.first[job_id], shown))
        elif job_id in self.first:
            self.changes.append((job_id, self.first[job_id], record))

    def _result(self, record):
        """ETag and digest of the bytes of a job's result."""
        if record["state"] != "succeeded":
            return None
        answer = self._get(f"/v1/jobs/{record['id']}/result", accept="application/x-npy")
        assert answer.status_code == 200, answer.text
        return answer.headers["etag"], hashlib.sha256(answer.content).hexdigest()

    def _get(self, path, **headers):
        answer = self._client.get(path, headers=headers)
        if answer.status_code == 503:
            raise Away
        return answer
