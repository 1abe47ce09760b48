"""Opens a bundle: proves it whole, copies its ledger to a folder of its own, and makes an App on the copy."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import error as ZlibError  # noqa: N812

from pydantic import ValidationError

from jobs import boot
from jobs.app import App
from jobs.clock import SystemClock
from jobs.errors import BundleRefused, JobsError, NotFound
from jobs.ledger.bundles.soundness import fault_of
from jobs.migration import schema
from jobs.operations.bundles.manifest import FORMAT, LEDGER, MANIFEST, MAX_MANIFEST, Manifest, blocks, comment_of
from jobs.settings import Settings

_DAMAGED = (zipfile.BadZipFile, ZlibError, EOFError, NotImplementedError, RuntimeError, ValidationError, ValueError)
"""What a zip file raises that is damaged, encrypted, or packed in a way that Python does not know."""


class BundleClock(SystemClock):
    """The moment at which a bundle was made, for ever: what was due or alive then is due or alive."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


def open_bundle(path: Path, folder: Path, **settings: Any) -> tuple[App, Manifest]:
    """An App on a copy of the bundle's ledger in ``folder``, and the bundle's manifest.

    The App's clock stands still at the moment at which the bundle was made. What is written goes to the copy.

    Raises:
        NotFound: there is no such file.
        BundleRefused: it is no bundle, is damaged or was altered, or a later release made it.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="jobledger bundle makes one.")
    ledger = folder / LEDGER
    try:
        with zipfile.ZipFile(path) as bundle:
            manifest = _read_manifest(path, bundle)
            _copy_ledger(path, bundle, manifest, ledger)
    except _DAMAGED as error:
        raise _damaged(path, f"{type(error).__name__}") from error
    url = f"sqlite:///{ledger}"
    app = boot.build(Settings.of(database_url=url, **settings), clock=BundleClock(manifest.made_at))
    try:
        _check_ledger(path, app, manifest)
    except BaseException:
        app.close()
        raise
    return app, manifest


def _read_manifest(path: Path, bundle: zipfile.ZipFile) -> Manifest:
    names = sorted(bundle.namelist())
    if MANIFEST not in names:
        raise BundleRefused(f"{path} is no bundle: it has no {MANIFEST}.", hint="jobledger bundle makes one.")
    if bundle.getinfo(MANIFEST).file_size > MAX_MANIFEST:
        raise _damaged(path, "its manifest is too large")
    content = bundle.read(MANIFEST)
    _check_format(path, content)
    if bundle.comment != comment_of(content):
        raise _damaged(path, "its manifest is not the one that it was made with")
    manifest = Manifest.model_validate_json(content)
    if manifest.revision > schema.REVISION:
        raise _later(path, f"jobledger {manifest.jobledger} with tables at {manifest.revision}")
    if names != sorted([MANIFEST, *manifest.members]) or LEDGER not in manifest.members:
        raise _damaged(path, "its files are not those of its manifest")
    return manifest


def _check_format(path: Path, content: bytes) -> None:
    """Before anything else, since a later format may have another manifest."""
    from pydantic_core import from_json

    told = from_json(content)
    found = told.get("format") if isinstance(told, dict) else None
    if not isinstance(found, int):
        raise _damaged(path, "its manifest has no format")
    if found > FORMAT:
        raise _later(path, f"format {found}")


def _copy_ledger(path: Path, bundle: zipfile.ZipFile, manifest: Manifest, ledger: Path) -> None:
    expected = manifest.members[LEDGER]
    digest, size = hashlib.sha256(), 0
    with bundle.open(LEDGER) as source, ledger.open("wb") as copy:
        for block in blocks(source):  # type: ignore[arg-type]
            size += len(block)
            if size > expected.bytes:
                raise _damaged(path, f"{LEDGER} is longer than its manifest says")
            digest.update(block)
            copy.write(block)
    if (digest.hexdigest(), size) != (expected.sha256, expected.bytes):
        raise _damaged(path, f"the hash of {LEDGER} is not that of its manifest")


def _check_ledger(path: Path, app: App, manifest: Manifest) -> None:
    try:
        with app.database.read() as connection:
            fault = fault_of(connection)
        found = schema.current(app.database)
    except JobsError as error:
        raise _damaged(path, f"its ledger cannot be read: {error.message}") from error
    if fault is not None:
        raise _damaged(path, fault)
    if found != manifest.revision:
        raise _damaged(path, f"its tables are at revision {found}, and its manifest says {manifest.revision}")
    if manifest.revision < schema.REVISION:
        schema.upgrade(app.database, say=lambda line: None)


def _damaged(path: Path, why: str) -> BundleRefused:
    return BundleRefused(
        f"The bundle {path} is damaged or was altered: {why}.", hint="Copy it again from where it was made."
    )


def _later(path: Path, what: str) -> BundleRefused:
    return BundleRefused(f"The bundle {path} is of a later release: {what}.", hint="Upgrade jobledger to open it.")
