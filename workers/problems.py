"""What a failed job's record says: a reason that a user can act on, without a stack trace and without data."""

from __future__ import annotations

from collections.abc import Callable

from mercer.errors import JobFailed, MercerError, OutOfMemory


def reason(
    error: Exception, job_id: str, needed_bytes: Callable[[], int], *, memory_bytes: int | None = None
) -> MercerError:
    """The error to show for a job that raised `error` when it ran alone.

    Args:
        error: As the operation, the store or the device raised it.
        job_id: For the operators, who find the stack trace under it in the worker's log.
        needed_bytes: The memory that the job takes; asked only when that is the reason.
        memory_bytes: What all of the process may take, if that is limited.
    """
    if isinstance(error, MercerError):
        return error
    if isinstance(error, MemoryError):
        limited = f", and the process that ran it may take {memory_bytes:,} in all" if memory_bytes else ""
        return OutOfMemory(
            f"The worker ran out of memory: the job needed {needed_bytes():,} bytes{limited}."
            " Use dtype float32 or fewer rows, or run it on a worker with more memory."
        )
    return JobFailed(
        "The computation failed for a reason of its own, and would fail again."
        f" The operators of this service find the cause in the worker's log under the job's id, {job_id}."
    )
