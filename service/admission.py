"""From the bytes of a request to submissions that may be queued; nothing is queued when anything is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from secrets import token_hex
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker.records import Submission
from mercer.arrays import ArrayInfo, info_of
from mercer.errors import CostExceeded, FieldError, InvalidSpec, MercerError, UnknownDataset, UnknownRelease
from mercer.jobs import Dataset
from mercer.points import ArrayReference, DatasetReference, PrivateReference, ReleaseReference
from mercer.specs import Cost, JobSpec, Spec
from mercer.tenants import DEFAULT_TENANT
from service.field_errors import problem_of
from service.headers import Options
from service.long_bodies import LONG_BYTES, is_sparse, parse_many, parse_one
from service.settings import Settings
from store.selection import select

MAX_JOBS = 1_000
"""In one submission: the queue admits them in one script call, which nothing else may interrupt."""

ID_BYTES = 16
"""Of a job's random id."""

KEPT_BYTES = 1_000
"""Up to this length a spec is queued as it was sent. A longer one is written anew: numbers that came as lists take
twice the room, and ten times as long to read."""

_BULK = re.compile(rb'\s*\{\s*"jobs"\s*:')


PLAIN = Options()


class Bulk(BaseModel):
    """Several jobs, admitted all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    jobs: Annotated[list[JobSpec], Field(min_length=1, max_length=MAX_JOBS)]


class Parsed(NamedTuple):
    """What a submission asks for."""

    specs: list[Spec]
    bulk: bool
    sent: bytes | None = None
    """The single spec as it came, if it is short."""


def is_bulk(body: bytes) -> bool:
    """Whether it is `{"jobs": [...]}`: no spec has a field of this name, and nothing else may stand before it."""
    return _BULK.match(body) is not None


def parse(body: bytes) -> Parsed:
    """One spec, or several under "jobs".

    Raises:
        InvalidRequest: no JSON.
        InvalidSpec: naming every field at fault, of a long document the first of them.
        TooLarge: a long document holds more than any honest one.
    """
    bulk = is_bulk(body)
    try:
        if not bulk:
            return Parsed([parse_one(body)], False, body if len(body) <= KEPT_BYTES else None)
        if len(body) > LONG_BYTES and not is_sparse(body):
            return Parsed(parse_many(body, MAX_JOBS), True)
        return Parsed(list(Bulk.model_validate_json(body).jobs), True)
    except ValidationError as error:
        raise problem_of(error, body) from None


class Admission:
    """Decides which jobs may be queued.

    Args:
        known: What is known of a data set that the tenant uploaded, such as Datasets.known.
        public: What may be told of a private data set or a release of the tenant.
        settings: The limits.
        tenant: Whose jobs they will be.
    """

    def __init__(
        self,
        known: Callable[[str], Dataset],
        public: Callable[[PrivateReference | ReleaseReference], ArrayInfo],
        settings: Settings,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._known = known
        self._public = public
        self._settings = settings
        self._tenant = tenant

    def submissions(self, parsed: Parsed, idempotency_key: str | None, options: Options = PLAIN) -> list[Submission]:
        """What to queue, in order.

        Raises:
            InvalidSpec: an unknown data set, or parameters that do not fit the arrays.
            CostExceeded: more than a job may take.
        """
        if not parsed.bulk:
            return [self.submission(parsed.specs[0], idempotency_key, options, parsed.sent)]
        made = []
        known = lru_cache(maxsize=MAX_JOBS)(self._known)  # many share a data set
        remembering = Admission(known, self._public, self._settings, self._tenant)
        for index, (spec, job_id) in enumerate(zip(parsed.specs, _ids(len(parsed.specs)), strict=True)):
            key = None if idempotency_key is None else f"{idempotency_key}/{index}"
            try:
                made.append(remembering.submission(spec, key, options, job_id=job_id))
            except MercerError as error:
                raise below(f"/jobs/{index}", error) from None
        return made

    def submission(
        self,
        spec: Spec,
        key: str | None,
        options: Options = PLAIN,
        sent: bytes | None = None,
        job_id: str | None = None,
    ) -> Submission:
        """What to queue for one spec; `sent` is its JSON, if that may be queued as it is. Without an id it gets one.

        Raises:
            InvalidSpec: an unknown data set, or parameters that do not fit the arrays.
            CostExceeded: more than a job may take.
        """
        infos = self.checked(spec)
        cost = spec.cost(infos)
        self._check_cost(cost)
        written, fingerprint = _written(spec, sent, keyed=key is not None)
        return Submission(
            id=job_id or next(_ids(1)),
            kind=spec.kind,
            batch_key=spec.batch_key(infos),
            spec=written,
            fingerprint=fingerprint,
            flops=cost.flops,
            bytes=cost.bytes_in + cost.peak_bytes,
            idempotency_key=key,
            tenant=self._tenant,
            cancel_after_ms=options.cancel_after_ms,
            priority=options.priority,
        )

    def checked(self, spec: Spec) -> dict[str, ArrayInfo]:
        """What is known of the arrays of a spec that fits them.

        Raises:
            InvalidSpec: an unknown data set, or parameters that do not fit the arrays.
        """
        minimum = spec.needs_minima()
        infos = {field: self._info(field, reference, minimum) for field, reference in spec.arrays().items()}
        spec.check(infos)
        return infos

    def _info(self, field: str, reference: ArrayReference, minimum: bool) -> ArrayInfo:
        if isinstance(reference, np.ndarray):
            return info_of(reference, minimum=minimum)
        try:
            if not isinstance(reference, DatasetReference):
                return self._public(reference)
            dataset = self._known(reference.dataset)
            return select(dataset, reference).info(dataset)
        except (UnknownDataset, UnknownRelease) as error:
            raise InvalidSpec(f"{error.title}.", errors=(FieldError(f"/{field}", error.detail),)) from None
        except InvalidSpec as error:
            raise below(f"/{field}", error) from None

    def _check_cost(self, cost: Cost) -> None:
        needed, limit = cost.bytes_in + cost.peak_bytes, self._settings.max_job_bytes
        if needed > limit:
            raise CostExceeded(
                f"expected a job of at most {limit:,} bytes of memory, got one of {needed:,}; take fewer points"
            )
        if cost.bytes_out > (limit := self._settings.max_result_bytes):
            raise CostExceeded(
                f"expected a result of at most {limit:,} bytes, got one of {cost.bytes_out:,}; "
                "take fewer points, or dtype float32"
            )


def _ids(number: int) -> Iterator[str]:
    """Drawn together: each draw gives other threads a turn, and waits for its own."""
    letters = token_hex(ID_BYTES * number)
    return (letters[start : start + 2 * ID_BYTES] for start in range(0, len(letters), 2 * ID_BYTES))


def _written(spec: Spec, sent: bytes | None, *, keyed: bool) -> tuple[bytes, str]:
    """The spec as it is queued, and its fingerprint, which only a key needs: equal for specs that mean the same."""
    if sent is not None and not keyed:
        return sent, ""
    canonical = spec.__pydantic_serializer__.to_json(spec, exclude_none=True)
    return canonical, hashlib.sha256(canonical).hexdigest() if keyed else ""


def reads_store(specs: list[Spec]) -> bool:
    """Whether admitting them reads data sets' metadata, which is not for the event loop."""
    for spec in specs:
        for array in spec.arrays().values():
            if not isinstance(array, np.ndarray):
                return True
    return False


def below(prefix: str, error: MercerError) -> MercerError:
    """The same error of a part of the document."""
    errors = tuple(FieldError(prefix + pointer, detail) for pointer, detail in error.errors)
    if not errors:
        errors = (FieldError(prefix, error.detail),)
    return type(error)(error.detail, errors=errors, retry_after_s=error.retry_after_s)
