"""Long JSON documents: counted before they are parsed, and many jobs parsed one by one.

A megabyte of `[],[],...` costs a parser a hundred times as much as a megabyte of honest points; and one call into it
holds up the event loop from any thread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from mercer.errors import FieldError, InvalidRequest, InvalidSpec, TooLarge
from mercer.specs import SPEC, Spec
from service.field_errors import MAX_ERRORS, problem_of

LONG_BYTES = 2**16
"""Shorter documents are parsed as they are: 1 to 10 ms, whatever they hold."""

SPARSE_BYTES = 2**17
SIGNS_PER_BYTE = 1 / 8
"""Several jobs up to SPARSE_BYTES with fewer signs than this are parsed at once, too: they are mostly base64 and
digests, and job by job they would take half as long again."""

MAX_JSON_BYTES = 2**20
"""A single spec: its inline arrays have at most 1,000 numbers, so real ones stay below 100 kB."""

MAX_BULK_BYTES = 2**23
"""1,000 specs of 8 kB each."""


class Limits(NamedTuple):
    """The most that a document may hold."""

    values: int
    lists: int
    objects: int
    fields: int


ONE = Limits(values=2**18, lists=2**12, objects=2**10, fields=2**12)
"""A spec has at most 1,000 rows of points twice, 100,000 row numbers twice and a kernel of 32 families, 32 deep."""

MANY = Limits(values=2**19, lists=2**17, objects=2**16, fields=2**17)
"""1,000 specs, not all of them the largest."""

_SIGNS = (b",", b"[", b"{", b":")
_BEGIN = re.compile(r'[ \t\n\r]*\{[ \t\n\r]*"jobs"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*')
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_LIST_END = re.compile(r"[ \t\n\r]*\]")
_END = re.compile(r"[ \t\n\r]*\][ \t\n\r]*\}[ \t\n\r]*")


def check_document(body: bytes, limits: Limits = ONE) -> None:
    """Refuse a document that would cost more to parse than its length says.

    Args:
        body: Not parsed yet; signs within texts count too.
        limits: What it may hold.

    Raises:
        TooLarge: naming what there is too much of.
    """
    if len(body) <= LONG_BYTES:
        return
    for number, what, limit in zip(_signs(body), Limits._fields, limits, strict=True):
        if number > limit:
            raise TooLarge(f"expected a document of at most {limit:,} {what}, got more")


def is_sparse(body: bytes) -> bool:
    """Whether a document is cheap to parse, though it is long."""
    return len(body) <= SPARSE_BYTES and sum(_signs(body)) <= SIGNS_PER_BYTE * len(body)


def _signs(body: bytes) -> Iterator[int]:
    """How many there are of each sign of a document."""
    letters = np.frombuffer(body, np.uint8)  # bytes.count takes 10 ns for each that it finds
    return (int(np.count_nonzero(letters == ord(sign))) for sign in _SIGNS)


def parse_one(body: bytes) -> Spec:
    """A spec.

    Raises:
        TooLarge: it holds too much.
        ValidationError: as pydantic found it.
    """
    check_document(body)
    return SPEC.validate_json(body)


def parse_many(body: bytes, most: int) -> list[Spec]:
    """The specs of {"jobs": [...]}, each parsed by itself.

    Args:
        body: The document.
        most: How many jobs there may be.

    Raises:
        TooLarge: it holds too much.
        InvalidRequest: it is no JSON.
        InvalidSpec: naming the first fields at fault.
    """
    check_document(body, MANY)
    specs: list[Spec] = []
    errors: list[FieldError] = []
    for index, job in enumerate(_jobs(body, most)):
        try:
            specs.append(parse_one(job))
        except ValidationError as error:
            problem = problem_of(error, job)
            if not problem.errors:
                raise problem from None
            errors += [FieldError(f"/jobs/{index}{pointer}", detail) for pointer, detail in problem.errors]
            if len(errors) >= MAX_ERRORS:
                break
    if errors:
        shown = "" if len(errors) < MAX_ERRORS else f"; the first {MAX_ERRORS} are shown"
        raise InvalidSpec(f"fields of the jobs are not valid{shown}.", errors=tuple(errors[:MAX_ERRORS]))
    return specs


def _jobs(body: bytes, most: int) -> Iterator[bytes]:
    """Each job's part of the document."""
    text = _text(body)
    begin = _BEGIN.match(text)
    if begin is None:
        raise InvalidSpec("1 field is not valid.", errors=(FieldError("/jobs", "expected a list"),))
    place = begin.end()
    for _ in range(most):
        stop = _past(text, place)
        yield text[place:stop].encode()
        if _END.fullmatch(text, stop):
            return
        place = _after_comma(text, stop)
    detail = f"expected at most {most} items, got more"
    raise InvalidSpec("1 field is not valid.", errors=(FieldError("/jobs", detail),))


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"expected a JSON document in UTF-8, got another byte at {error.start}") from None


def _past(text: str, place: int) -> int:
    """Where the value that begins at `place` ends."""
    try:
        return json.JSONDecoder().raw_decode(text, place)[1]
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"expected a JSON document, got {error.msg.lower()} at character {error.pos}") from None
    except (ValueError, RecursionError) as error:
        reason = "values too deep inside each other" if isinstance(error, RecursionError) else "too many digits"
        raise InvalidRequest(f"expected a JSON document, got {reason} at character {place}") from None


def _after_comma(text: str, place: int) -> int:
    """Where the next job begins."""
    if comma := _COMMA.match(text, place):
        return comma.end()
    if _LIST_END.match(text, place):
        raise InvalidSpec("1 field is not valid.", errors=(FieldError("/jobs", "expected this field alone, got more"),))
    raise InvalidRequest(f"expected a JSON document, got no comma at character {place}")
