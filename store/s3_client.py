"""A client of an S3-compatible service, and what its errors mean."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from mercer.errors import Unavailable

ATTEMPTS = 4
"""Of one request, with pauses in between, before it counts as failed."""

CONNECT_S = 3.0
READ_S = 30.0
"""Without a byte, before a request counts as lost."""

PROBE_S = 1.5
"""The same for a look whether the service answers: a probe that hangs is an answer too."""

CONNECTIONS = 32

MISSING = {"404", "NoSuchKey"}
TAKEN = {"412", "PreconditionFailed"}
GONE = {"NoSuchUpload"}
BEYOND = {"416", "InvalidRange"}

logging.getLogger("botocore.credentials").setLevel(logging.WARNING)  # it tells each time where it found them

_DENIED = {"401", "403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
_BUSY = {"429", "500", "503", "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"}
_FULL = {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}

STREAM_FAULTS = (BotoCoreError, OSError)
"""What reading the body of an answer raises when the connection breaks."""


def client(patient: bool) -> Any:
    """A client set up by the AWS_* environment.

    Args:
        patient: Whether it tries again and waits.
    """
    # Stores other than Amazon's seldom have a host name for each bucket.
    elsewhere = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    config = Config(
        connect_timeout=CONNECT_S if patient else PROBE_S,
        read_timeout=READ_S if patient else PROBE_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS if patient else 1},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path" if elsewhere else "auto"},
        # Amazon's newer checksums are unknown to many other stores; TLS or the signature protect the bytes.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return Session().client("s3", region_name=os.environ.get("AWS_REGION"), config=config)


@contextmanager
def translated(bucket: str) -> Iterator[None]:
    """Tell boto3's errors as what they mean to a user.

    Raises:
        Unavailable: instead of them.
    """
    try:
        yield
    except ClientError as error:
        raise Unavailable(_meaning(code_of(error), bucket), retry_after_s=1) from error
    except (NoCredentialsError, ProfileNotFound) as error:
        raise Unavailable("The S3 store needs credentials: set AWS_ACCESS_KEY_ID and its secret.") from error
    except STREAM_FAULTS as error:
        raise Unavailable(f"The S3 store does not answer ({type(error).__name__}).", retry_after_s=1) from error


def code_of(error: ClientError) -> str:
    """What S3 calls the error; the status of an answer that has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def won(request: Callable[[], object]) -> bool:
    """Make a conditional request; False when its condition does not hold."""
    try:
        request()
    except ClientError as error:
        if code_of(error) in TAKEN:
            return False
        raise
    return True


def _meaning(code: str, bucket: str) -> str:
    if code == "NoSuchBucket":
        return f"The S3 store has no bucket {bucket}."
    if code in _DENIED:
        return f"The S3 store denies access to the bucket {bucket} ({code})."
    if code in _FULL:
        return f"The store is full ({code})."
    if code in _BUSY:
        return f"The S3 store is overloaded ({code})."
    return f"The S3 store refused a request ({code})."
