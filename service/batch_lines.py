"""From the lines that a client sent to the lines that are kept: every one is checked before the first is queued."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Annotated, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from broker.files import Due, job_id
from broker.records import Submission
from mercer.batches import MAX_LINES
from mercer.errors import FieldError, InvalidSpec, MercerError
from mercer.specs import SPEC, JobSpec, Spec
from service.admission import KEPT_BYTES, Admission, below
from service.field_errors import problem_of
from service.long_bodies import MAX_JSON_BYTES, check_document
from service.spending import Release, named
from store.objects import ObjectWriter

MAX_ERRORS = 100
"""Shown in one problem document."""

LINES_AT_ONCE = 100
"""Checked in one turn of a thread: 5 to 10 ms, after which other requests have theirs."""


_USUAL = re.compile(
    rb'[ \t\r]*\{[ \t\r]*"custom_id"[ \t\r]*:[ \t\r]*"([^"\\\x00-\x1f\x7f]{1,64})"[ \t\r]*,'
    rb'[ \t\r]*"spec"[ \t\r]*:[ \t\r]*(\{.*\})[ \t\r]*\}[ \t\r\n]*'
)
"""A line as almost all are written: its name and its spec, which is JSON by itself when the line is."""


class Line(BaseModel):
    """One job of a batch file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    custom_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
    """Printable characters; each once in a file."""
    spec: JobSpec


class Lines:
    """The lines of a file, checked in slices.

    Args:
        source: What the client sent.
        kept: Where the checked lines go.
        admission: Decides which jobs may be queued.
        tenant: Whose they will be.
        key: The Idempotency-Key of the file.
    """

    def __init__(
        self, source: BinaryIO, kept: ObjectWriter, admission: Admission, tenant: str, key: str | None
    ) -> None:
        self._numbered = enumerate(_lines(source), 1)
        self._kept = kept
        self._admission = admission
        self._seen: dict[str, int] = {}
        self._errors: list[FieldError] = []
        self._bad = 0
        self._tenant = tenant
        self._key = key
        self.total = 0
        self.releases: list[Release] = []
        """Those among the lines, which are to be paid for before the file is accepted."""

    def check_some(self) -> bool:
        """Check the next lines; False when there were none.

        Raises:
            InvalidSpec: there are too many.
            Unavailable: they cannot be stored.
        """
        good = []
        several = list(islice(self._numbered, LINES_AT_ONCE))
        for number, text in several:
            if number > MAX_LINES:
                raise InvalidSpec(f"expected at most {MAX_LINES:,} lines, empty ones included, got more")
            if text.strip():
                good += self._checked(number, text)
        self._kept.write(b"".join(good))
        return bool(several)

    def check_end(self) -> None:
        """All lines were seen.

        Raises:
            InvalidSpec: some of them are not valid, or there are none.
        """
        if self._bad:
            shown = f"; the first {MAX_ERRORS} errors are shown" if len(self._errors) > MAX_ERRORS else ""
            detail = f"{self._bad} of the {self.total} lines are not valid{shown}. Nothing was queued."
            raise InvalidSpec(detail, errors=tuple(self._errors[:MAX_ERRORS]))
        if not self.total:
            raise InvalidSpec('expected lines of {"custom_id": ..., "spec": {...}}, got none')

    def _checked(self, number: int, text: bytes) -> list[bytes]:
        self.total += 1
        try:
            return [kept_line(*self._parsed(number, text))]
        except (ValidationError, MercerError) as error:
            self._bad += 1
            if len(self._errors) <= MAX_ERRORS:  # one more than is shown tells that there are more
                problem = problem_of(error, text) if isinstance(error, ValidationError) else error
                self._errors += below(f"/lines/{number}", problem).errors
            return []

    def _parsed(self, number: int, text: bytes) -> tuple[str, Submission]:
        if len(text) > MAX_JSON_BYTES:
            raise InvalidSpec(f"expected a line of at most {MAX_JSON_BYTES} bytes, got more; upload its arrays")
        check_document(text)
        name, spec, sent = _parsed_line(text)
        if (earlier := self._seen.setdefault(name, number)) != number:
            detail = f"expected a custom_id of its own, got that of line {earlier}"
            raise InvalidSpec(detail, errors=(FieldError("/custom_id", detail),))
        try:
            submission = self._admission.submission(spec, None, sent=sent)
        except MercerError as error:
            raise below("/spec", error) from None
        if spec.releases:
            release = Release(spec, submission, None if self._key is None else f"{self._key}/{number}")
            self.releases.append(release)
            submission = named(release, self._tenant)
        return name, submission


def _parsed_line(text: bytes) -> tuple[str, Spec, bytes | None]:
    """Its name, its spec, and that as it was sent if it may be queued so.

    Raises:
        ValidationError: as pydantic found it in the whole line.
    """
    if usual := _USUAL.fullmatch(text):
        name, spec = usual.groups()
        with suppress(ValidationError, UnicodeDecodeError):  # which the whole line tells better
            return name.decode(), SPEC.validate_json(spec), spec if len(spec) <= KEPT_BYTES else None
    line = Line.model_validate_json(text)
    return line.custom_id, line.spec, None


def kept_line(custom_id: str, job: Submission) -> bytes:
    """How a job is kept: JSON has neither tabs nor line ends of its own."""
    head = [custom_id, job.kind, job.batch_key, job.flops, job.bytes, job.alone]
    return to_json(head) + b"\t" + job.spec + b"\n"


def submission_of(line: bytes, due: Due, number: int) -> Submission:
    """The job of a kept line, by its number among those that follow."""
    head, _, spec = line.partition(b"\t")
    custom_id, kind, batch_key, flops, size_bytes, alone = from_json(head)
    return Submission(
        id=job_id(due.id, due.admitted + number),
        kind=kind,
        batch_key=batch_key,
        spec=spec,
        fingerprint="",
        flops=flops,
        bytes=size_bytes,
        alone=alone,
        custom_id=custom_id,
        tenant=due.tenant,
        priority=due.priority,
    )


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """Each line; of one that is too long, no more than shows it."""
    while line := source.readline(MAX_JSON_BYTES + 1):
        yield line
        while len(line) > MAX_JSON_BYTES and not line.endswith(b"\n"):
            line = source.readline(MAX_JSON_BYTES + 1)
