"""Everything that can go wrong, as the client and the service both name it.

MercerError
    InvalidRequest              400  the request itself cannot be read
    InvalidSpec                 422  a field of a job spec, with its JSON pointer
    InvalidArray                422  an upload or an inline array
    DigestMismatch              422  the body is not what its digest says
    CostExceeded                422  the job needs more than the service allows
    InvalidWebhook              422  a field of a webhook's registration, or where it points
    IdempotencyConflict         422  the key was used for another job
    Unauthenticated             401  no API key, or none that is valid
    Forbidden                   403  the API key lacks a scope
    NotFound                    404
        UnknownJob
        UnknownDataset
        UnknownBatch
        UnknownRelease
        UnknownKey
        UnknownWebhook
    NotFinished                 409  the result was asked for too early
    NoResult                    409  the job ended without a result
    NotRetryable                409  the job has not failed
    WebhookDisabled             409  it takes no events until it is enabled
    NotProtected                409  private releases are made of protected data sets alone
    AlreadyProtected            409  the data set is protected under other terms
    BudgetExceeded              409  the release costs more than is left of the data set's budget
    AccountFrozen               423  the ledger is an older copy: nothing can be spent
    NotAcceptable               406  the result has no such representation
    TooLarge                    413
    UnsupportedFormat           415
    QuotaExceeded               413  the tenant stores as much as it may
    QueueFull                   429  with retry_after_s
        TenantQueueFull         429  the tenant's part of it is full
    RateLimited                 429  the API key sends too many requests
    Unavailable                 503  Redis is away, the store is full, or the service is draining
        MemoryFull              503  the queue's memory is nearly full
    JobFailed                        raised by Job.result()
        JobCancelled
        JobExpired
        JobDead
        OutOfMemory
    DeliveryFailed                   raised by `mercer webhooks test`
    WaitTimeout                      the client stopped waiting; the job goes on
    ConnectionFailed                 the service could not be reached

On the wire each is an RFC 9457 problem document whose `type` is `urn:mercer:problem:<code>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:mercer:problem:"


class FieldError(NamedTuple):
    """What is wrong with one field."""

    pointer: str
    """RFC 6901, from the root of the request body, such as /kernel/lengthscale."""
    detail: str
    """What was expected and what was got; never the input itself when it is long."""


class MercerError(Exception):
    """The root of all of Mercer's errors.

    Args:
        detail: One sentence for a person: what was expected, what was got, what to change.
        errors: The fields at fault, when there are any.
        retry_after_s: After how many seconds the same request may succeed, when that is known.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, errors: tuple[FieldError, ...] = (), retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return "\n".join((self.detail, *(f"  {pointer}: {detail}" for pointer, detail in self.errors)))

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 problem document."""
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [error._asdict() for error in self.errors]
        return document


class InvalidRequest(MercerError):
    """The request cannot be read: malformed JSON, a bad header or a bad query parameter."""

    code = "invalid-request"
    status = 400
    title = "The request cannot be read"


class InvalidSpec(MercerError):
    """A field of a job spec is missing, unknown, of the wrong type or out of range."""

    code = "invalid-spec"
    status = 422
    title = "The job spec is not valid"


class InvalidArray(MercerError):
    """An array is empty, not finite, of an unsupported type, or its header lies about its body."""

    code = "invalid-array"
    status = 422
    title = "The array is not valid"


class DigestMismatch(MercerError):
    """The body's SHA-256 is not the digest in the address or in Content-Digest."""

    code = "digest-mismatch"
    status = 422
    title = "The body does not match its digest"


class CostExceeded(MercerError):
    """The job would need more memory, or give a larger result, than the service allows."""

    code = "cost-exceeded"
    status = 422
    title = "The job is too large"


class InvalidWebhook(MercerError):
    """A field of a webhook's registration is not valid, or its address may not be delivered to."""

    code = "invalid-webhook"
    status = 422
    title = "The webhook is not valid"


class IdempotencyConflict(MercerError):
    """The Idempotency-Key was already used for a different request."""

    code = "idempotency-conflict"
    status = 422
    title = "The idempotency key was used for another request"


class Unauthenticated(MercerError):
    """The service asks for an API key, and there was none, or one that is unknown, revoked or expired."""

    code = "unauthenticated"
    status = 401
    title = "No valid API key"


class Forbidden(MercerError):
    """The API key is valid but lacks the scope that the request needs: ask for a key that has it."""

    code = "forbidden"
    status = 403
    title = "The API key may not do this"


class NotFound(MercerError):
    """No such thing."""

    code = "not-found"
    status = 404
    title = "Not found"


class UnknownJob(NotFound):
    """No job has this id, or its record has passed its time to live."""

    code = "unknown-job"
    title = "No such job"


class UnknownDataset(NotFound):
    """No data set with this digest, or private one of this name, has been uploaded."""

    code = "unknown-dataset"
    title = "No such data set"


class UnknownBatch(NotFound):
    """No batch has this id, or its record has passed its time to live."""

    code = "unknown-batch"
    title = "No such batch"


class UnknownRelease(NotFound):
    """No private release has this id."""

    code = "unknown-release"
    title = "No such release"


class UnknownKey(NotFound):
    """No API key has this id, or it was revoked."""

    code = "unknown-key"
    title = "No such key"


class UnknownWebhook(NotFound):
    """No webhook has this id."""

    code = "unknown-webhook"
    title = "No such webhook"


class NotFinished(MercerError):
    """The job has no result yet: wait for it first."""

    code = "not-finished"
    status = 409
    title = "The job has not finished"


class NoResult(MercerError):
    """The job ended without a result: its record says why."""

    code = "no-result"
    status = 409
    title = "The job has no result"


class NotRetryable(MercerError):
    """Only a job that failed, expired, died or was cancelled can be tried again."""

    code = "not-retryable"
    status = 409
    title = "The job cannot be tried again"


class WebhookDisabled(MercerError):
    """The webhook takes no events: enable it first."""

    code = "webhook-disabled"
    status = 409
    title = "The webhook is disabled"


class NotProtected(MercerError):
    """Private releases are made of protected data sets alone: protect the data set first."""

    code = "not-protected"
    status = 409
    title = "The data set is not protected"


class AlreadyProtected(MercerError):
    """The data set is protected under other terms, which never change."""

    code = "already-protected"
    status = 409
    title = "The data set is already protected"


class BudgetExceeded(MercerError):
    """The release costs more than is left of the data set's privacy budget, which never grows: ask for less."""

    code = "budget-exceeded"
    status = 409
    title = "The privacy budget does not suffice"


class AccountFrozen(MercerError):
    """The ledger does not extend its witnesses, as an old copy does not: an operator has to reconcile it first."""

    code = "account-frozen"
    status = 423
    title = "The data set's account is frozen"


class NotAcceptable(MercerError):
    """The result cannot be represented as the Accept header asks."""

    code = "not-acceptable"
    status = 406
    title = "No such representation"


class TooLarge(MercerError):
    """The body is larger than the limit."""

    code = "too-large"
    status = 413
    title = "The body is too large"


class QuotaExceeded(MercerError):
    """The tenant's data sets take as many bytes as they may: delete some first."""

    code = "quota-exceeded"
    status = 413
    title = "The tenant stores too much"


class UnsupportedFormat(MercerError):
    """The body's media type is not one that the service reads."""

    code = "unsupported-format"
    status = 415
    title = "Unsupported format"


class QueueFull(MercerError):
    """The queue is at its bound: try again after `retry_after_s`."""

    code = "queue-full"
    status = 429
    title = "The queue is full"


class TenantQueueFull(QueueFull):
    """As many jobs of the tenant wait as may: try again after `retry_after_s`, when some of them have ended."""

    code = "tenant-queue-full"
    title = "The tenant's part of the queue is full"


class RateLimited(MercerError):
    """The API key has sent too many requests: try again after `retry_after_s`."""

    code = "rate-limited"
    status = 429
    title = "Too many requests"


class Unavailable(MercerError):
    """Redis is away, the store is full, or the service is draining: try again after `retry_after_s`."""

    code = "unavailable"
    status = 503
    title = "The service is not available"


class MemoryFull(Unavailable):
    """The queue's memory is nearly full: what is there goes on, and what is new comes again after `retry_after_s`."""

    code = "memory-full"
    title = "The queue's memory is full"


class JobFailed(MercerError):
    """The job ended in failure; `detail` is the reason that its record gives."""

    code = "job-failed"
    title = "The job failed"


class JobCancelled(JobFailed):
    """The job was cancelled before it finished."""

    code = "job-cancelled"
    title = "The job was cancelled"


class JobExpired(JobFailed):
    """The deadline that came with the job passed before it had finished."""

    code = "job-expired"
    title = "The job expired"


class JobDead(JobFailed):
    """The job was given up: the processes that ran it were killed, or their workers died, each time."""

    code = "job-dead"
    title = "The job was given up"


class OutOfMemory(JobFailed):
    """The job needed more memory than its worker may take; smaller jobs of its batch went on."""

    code = "out-of-memory"
    title = "The worker ran out of memory"


class DeliveryFailed(MercerError):
    """A test event did not reach its webhook; `detail` is the reason."""

    code = "delivery-failed"
    title = "The event was not delivered"


class WaitTimeout(MercerError):
    """The client's own timeout passed; the job goes on."""

    code = "wait-timeout"
    title = "The job is still running"


class ConnectionFailed(MercerError):
    """The service could not be reached, after the retries."""

    code = "connection-failed"
    title = "No connection to the service"


def _tree(root: type[MercerError]) -> Iterator[type[MercerError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


BY_CODE: dict[str, type[MercerError]] = {error.code: error for error in _tree(MercerError)}


def from_problem(document: dict[str, Any], *, retry_after_s: int | None = None) -> MercerError:
    """The error that a problem document describes.

    Args:
        document: The parsed body of a problem response.
        retry_after_s: The response's Retry-After header, in seconds.
    """
    code = str(document.get("type", "")).removeprefix(TYPE_PREFIX)
    errors = tuple(FieldError(str(e["pointer"]), str(e["detail"])) for e in document.get("errors", ()))
    detail = str(document.get("detail") or document.get("title") or "The service gave no reason.")
    return BY_CODE.get(code, MercerError)(detail, errors=errors, retry_after_s=retry_after_s)
