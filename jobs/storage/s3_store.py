"""S3, and what speaks its protocol, as a store: an object for each value. boto3 finds credentials and endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from jobs import fork_hooks
from jobs.errors import ConfigurationError
from jobs.ledger.blobs.blob_errors import StoreDown, content_missing
from jobs.storage.protocol import CHUNK
from jobs.storage.sources import as_file

PART = 8 * 2**20
"""Bytes of one part of an upload; two are in memory at a time. Source: boto3's default; S3 takes parts from 5 MB on."""
ATTEMPTS = 3
"""Requests made for one call, the first included. Source: the standard mode of botocore."""
DELETE_SECONDS = 5.0
"""Time limit of a connection and a wait of a delete, which is tried once: the pruner has other tasks, and comes back.
Source: decision."""
_ABSENT = frozenset({"NoSuchKey", "404", "NoSuchUpload"})


class S3Store:
    """Content in the objects ``PREFIX/ID`` of a bucket.

    Args:
        connect, read: time limits of a connection and of each wait for data.
    """

    def __init__(self, bucket: str, prefix: str, *, connect: timedelta, read: timedelta) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._limits = (connect.total_seconds(), read.total_seconds())

    def write(self, blob_id: UUID, chunks: Iterator[bytes]) -> None:
        client = self._client()
        from boto3.s3.transfer import TransferConfig

        # Its own threads would hold more parts in memory.
        how = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
        with self._explained(blob_id):
            client.upload_fileobj(as_file(chunks), self._bucket, self._key(blob_id), Config=how)

    def read(self, blob_id: UUID) -> Iterator[bytes]:
        client = self._client()
        with self._explained(blob_id):
            body = client.get_object(Bucket=self._bucket, Key=self._key(blob_id))["Body"]
        try:
            while True:
                with self._explained(blob_id):
                    data: bytes = body.read(CHUNK)
                if not data:
                    return
                yield data
        finally:
            body.close()

    def delete(self, blob_id: UUID) -> None:
        client = self._client(attempts=1, most=DELETE_SECONDS)
        place = {"Bucket": self._bucket, "Key": self._key(blob_id)}
        with self._explained(blob_id):
            # What a process that died has uploaded in part is stored, and paid for, until somebody aborts it.
            unfinished = client.list_multipart_uploads(Bucket=self._bucket, Prefix=place["Key"])
            for one in unfinished.get("Uploads", ()):
                client.abort_multipart_upload(**place, UploadId=one["UploadId"])
            client.delete_object(**place)

    def _key(self, blob_id: UUID) -> str:
        return f"{self._prefix}{blob_id}"

    def _client(self, *, attempts: int = ATTEMPTS, most: float = float("inf")) -> Any:
        with _making:
            return _client(*(min(one, most) for one in self._limits), attempts=attempts)

    @contextmanager
    def _explained(self, blob_id: UUID) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _ABSENT:
                raise content_missing(blob_id, f"the bucket {self._bucket}") from error
            raise StoreDown(f"The bucket {self._bucket} refuses us: {code}.") from error
        except (BotoCoreError, Boto3Error) as error:
            raise StoreDown(f"The store of the bucket {self._bucket} does not answer: {error}.") from error


_making = threading.Lock()


@lru_cache(maxsize=8)
def _client(connect: float, read: float, *, attempts: int) -> Any:
    """A client, which threads share. Made once, because that takes a tenth of a second."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise ConfigurationError(
            "A store at S3 needs the package boto3.", hint="Install it: pip install 'jobledger[s3]'."
        ) from None
    config = Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        # Not every store that speaks the protocol knows these checksums, and we check a SHA-256 ourselves.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", config=config)


def _forget_after_fork() -> None:
    # A child must not share its parent's sockets.
    global _making
    _making = threading.Lock()
    _client.cache_clear()


fork_hooks.register(before=lambda: None, in_parent=lambda: None, in_child=_forget_after_fork)
