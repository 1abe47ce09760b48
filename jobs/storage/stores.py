"""Opens the store that a setting or a value's row names: ``ledger``, or the URL of another."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from jobs.app import App
from jobs.errors import ConfigurationError
from jobs.ledger.blobs.content import LEDGER
from jobs.storage.folder_store import FolderStore
from jobs.storage.ledger_store import LedgerStore
from jobs.storage.protocol import Store
from jobs.storage.s3_store import S3Store


def open_store(app: App, url: str) -> Store:
    """The store with this URL: ``ledger``, ``file:///FOLDER`` or ``s3://BUCKET/PREFIX``.

    Raises:
        ConfigurationError: this release has no such store.
    """
    if url == LEDGER:
        return LedgerStore(app)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        settings = app.settings
        return S3Store(parts.netloc, parts.path, connect=settings.connect_timeout, read=settings.store_timeout)
    raise ConfigurationError(f"{url!r} is no store that this release knows.", hint="Upgrade jobledger.")
