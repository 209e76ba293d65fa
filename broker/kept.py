"""Records of jobs that succeeded, for a moment: whoever waited for jobs asks for their results next."""

from __future__ import annotations

import time
from collections.abc import Iterable

from broker.records import Record
from mercer.jobs import State

KEPT_S = 1.0
"""After it a record is read again, as it may have passed its time to live."""

KEPT_RECORDS = 2_000
"""Two submissions of the largest size."""

SHORT_BYTES = 1_000
"""Of a result: numbers that are in the record itself are not asked for again."""


class Kept:
    """Succeeded jobs as they were answered: nothing of them changes any more."""

    def __init__(self) -> None:
        self._records: dict[str, tuple[float, Record]] = {}

    def add(self, records: Iterable[Record | None]) -> None:
        """Keep those that will not change, in the place of the oldest."""
        until_s = time.monotonic() + KEPT_S
        for record in records:
            if record is not None and record.state is State.SUCCEEDED and len(record.result or b"") <= SHORT_BYTES:
                self._records[record.id] = until_s, record
        while len(self._records) > KEPT_RECORDS:
            del self._records[next(iter(self._records))]

    def find(self, ids: Iterable[str], tenant: str) -> dict[str, Record]:
        """Those of these jobs that are kept, and the tenant's."""
        now_s = time.monotonic()
        kept = [self._records[job_id] for job_id in ids if job_id in self._records]
        return {record.id: record for until_s, record in kept if until_s > now_s and record.tenant == tenant}
