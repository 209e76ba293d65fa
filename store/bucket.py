"""The requests that the store makes of one bucket of an S3-compatible service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from store.s3_client import BEYOND, GONE, MISSING, client, code_of, translated, won


class Location(NamedTuple):
    """What MERCER_STORE_URL names."""

    bucket: str
    prefix: str
    """Empty, or ends with a slash."""

    @classmethod
    def of(cls, url: str) -> Location:
        """Of s3://bucket or s3://bucket/prefix."""
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        return cls(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")


class Listed(NamedTuple):
    """One object as the service lists it."""

    name: str
    size: int
    modified: datetime


class Begun(NamedTuple):
    """A multipart upload that was begun and neither completed nor aborted."""

    name: str
    upload: str
    begun: datetime


class Bucket:
    """Requests to one bucket.

    Args:
        location: Which bucket. Its objects' names here are without the prefix.
        patient: Whether to try again and to wait; a probe does neither.
    """

    def __init__(self, location: Location, *, patient: bool = True) -> None:
        self._bucket, self._prefix = location
        self._client = client(patient)

    def put(self, name: str, data: bytes | bytearray) -> None:
        """Store an object, in place of what is there.

        Raises:
            Unavailable: it cannot be stored.
        """
        with translated(self._bucket):
            self._client.put_object(**self._at(name), Body=data)

    def create(self, name: str, data: bytes | bytearray) -> bool:
        """Store an object; False when the name is taken.

        Raises:
            Unavailable: it cannot be stored.
        """
        with translated(self._bucket):
            return won(lambda: self._client.put_object(**self._at(name), Body=data, IfNoneMatch="*"))

    def get(self, name: str, start: int, stop: int | None) -> Any:
        """The body of an object from start on, and until stop; None when nothing of it is there.

        Raises:
            KeyError: there is no such object.
            Unavailable: it cannot be read.
        """
        wanted = f"bytes={start}-{'' if stop is None else stop - 1}"
        with translated(self._bucket):
            try:
                return self._client.get_object(**self._at(name), Range=wanted)["Body"]
            except ClientError as error:
                if code_of(error) in BEYOND:
                    return None
                if code_of(error) in MISSING:
                    raise KeyError(name) from None
                raise

    def size(self, name: str) -> int | None:
        """In bytes; None when there is no such object.

        Raises:
            Unavailable: nobody can say.
        """
        with translated(self._bucket):
            try:
                return int(self._client.head_object(**self._at(name))["ContentLength"])
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Every object whose name begins so.

        Raises:
            Unavailable: nobody can say.
        """
        with translated(self._bucket):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for entry in page.get("Contents", ()):
                    yield Listed(self._own(entry["Key"]), entry["Size"], entry["LastModified"])

    def delete(self, name: str) -> None:
        """Delete an object, if there is one.

        Raises:
            Unavailable: it cannot be deleted.
        """
        with translated(self._bucket):
            self._client.delete_object(**self._at(name))

    def begin(self, name: str) -> str:
        """Begin a multipart upload: parts of an object that nobody sees before all of them are there.

        Raises:
            Unavailable: it cannot be begun.
        """
        with translated(self._bucket):
            return str(self._client.create_multipart_upload(**self._at(name))["UploadId"])

    def put_part(self, name: str, upload: str, number: int, data: bytearray) -> str:
        """Store one part, the first has the number 1; its tag.

        Raises:
            Unavailable: it cannot be stored.
        """
        part = {"UploadId": upload, "PartNumber": number, "Body": data}
        with translated(self._bucket):
            return str(self._client.upload_part(**self._at(name), **part)["ETag"])

    def complete(self, name: str, upload: str, tags: list[str]) -> bool:
        """Make an object of the parts; False when the name is taken.

        Raises:
            Unavailable: it cannot be stored.
        """
        parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]}
        to = {**self._at(name), "UploadId": upload, "MultipartUpload": parts}
        with translated(self._bucket):
            try:
                return won(lambda: self._client.complete_multipart_upload(**to, IfNoneMatch="*"))
            except ClientError as error:
                # It was completed, and the answer was lost before the request was sent again.
                if code_of(error) in GONE and self.size(name) is not None:
                    return False
                raise

    def abort(self, name: str, upload: str) -> None:
        """Forget the parts of an upload, if it is still there.

        Raises:
            Unavailable: they cannot be forgotten now.
        """
        with translated(self._bucket):
            try:
                self._client.abort_multipart_upload(**self._at(name), UploadId=upload)
            except ClientError as error:
                if code_of(error) not in GONE:
                    raise

    def begun(self) -> Iterator[Begun]:
        """The multipart uploads that were neither completed nor aborted.

        Raises:
            Unavailable: nobody can say.
        """
        with translated(self._bucket):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for one in page.get("Uploads", ()):
                    yield Begun(self._own(one["Key"]), one["UploadId"], one["Initiated"])

    def part_times(self, upload: Begun) -> list[datetime]:
        """When the parts of an upload came; none when it has ended.

        Raises:
            Unavailable: nobody can say.
        """
        with translated(self._bucket):
            try:
                pages = self._client.get_paginator("list_parts").paginate(
                    **self._at(upload.name), UploadId=upload.upload
                )
                return [part["LastModified"] for page in pages for part in page.get("Parts", ())]
            except ClientError as error:
                if code_of(error) not in GONE:
                    raise
                return []

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    def _own(self, name: str) -> str:
        return name.removeprefix(self._prefix)
