"""Lists stored values, and checks that the content of each is there and is what was stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from jobs.app import App
from jobs.errors import JobsError, NotFound
from jobs.formats.stored_reference import Reference
from jobs.ledger.blobs.listing import (
    BlobRow,
    find_blobs,
    list_blobs,
    record_verified,
    resolve_blob,
    runs_of,
)
from jobs.ledger.queries.find import find_runs
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import shown
from jobs.storage.protocol import CHUNK
from jobs.storage.reader import open_reference

PAGE = 100
"""Values read from the ledger at once. Source: decision."""
RUNS_SHOWN = 10
MOST_RUNS = 100
"""Runs shown with one value. Source: decision; a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A value whose content was read to its end. ``problem`` says what is wrong with it, and ``code`` is that error's.

    Attributes:
        runs: some of the runs that need it, if something is wrong.
    """

    blob: BlobRow
    code: str | None = None
    problem: str | None = None
    runs: Sequence[UUID] = ()


def list_stored(app: App, operator: Operator, *, before: UUID | None = None, limit: int = 50) -> list[BlobRow]:
    """Stored values, the newest first; never their content. ``before`` is the last id of the previous page."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return list_blobs(connection, before=before, limit=limit)


def stored_id(app: App, operator: Operator, text: str) -> UUID:
    """The id of the stored value that ``text`` identifies: a whole id, or a short one as lists show it.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return resolve_blob(connection, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDetail:
    """A stored value with some of the runs that refer to it. ``followups`` more will be runs, or were."""

    blob: BlobRow
    runs: Sequence[RunRecord]
    followups: int


def show_stored(app: App, operator: Operator, text: str) -> StoredDetail:
    """The stored value that ``text`` identifies; never its content. Raises the same as ``stored_id``."""
    blob_id = stored_id(app, operator, text)
    with app.database.read() as connection:
        found = find_blobs(connection, [blob_id])
        ids = runs_of(connection, blob_id, limit=MOST_RUNS)
        runs = find_runs(connection, ids)
    if not found:
        raise NotFound(f"There is no stored value {text}.", hint="jobledger stored list shows those there are.")
    there = [shown(runs[one], operator) for one in sorted(ids, reverse=True) if one in runs]
    return StoredDetail(blob=found[0], runs=there, followups=len(ids) - len(there))


def verify_stored(app: App, operator: Operator, ids: Sequence[str] = ()) -> Iterator[Checked]:
    """Read the content of these values, or of all, and compare their size and SHA-256: of those that runs refer to.

    What came of it is recorded with each value, if this process may write.

    Args:
        ids: whole or short ids.

    Raises:
        NotFound: there is no such value.
        Ambiguous: a short id means several.
        ServiceDown: the ledger does not answer.
    """
    operator.need(Permission.RUNS_READ)
    for page in [_named(app, ids)] if ids else _pages(app):
        for one in page:
            if one.state == "used":
                checked = _check(app, one)
                with suppress(JobsError), app.database.write() as connection:
                    record_verified(connection, one.id, checked.code)
                yield checked


def _named(app: App, ids: Sequence[str]) -> list[BlobRow]:
    with app.database.read() as connection:
        return find_blobs(connection, [resolve_blob(connection, one) for one in ids])


def _pages(app: App) -> Iterator[list[BlobRow]]:
    before: UUID | None = None
    while True:
        with app.database.read() as connection:
            page = list_blobs(connection, before=before, limit=PAGE)
        if not page:
            return
        yield page
        before = page[-1].id


def _check(app: App, blob: BlobRow) -> Checked:
    assert blob.size is not None
    assert blob.sha256 is not None
    try:
        with open_reference(app, Reference(blob.id, blob.size, blob.sha256)) as file:
            while file.read(CHUNK):
                pass
    except JobsError as error:
        with app.database.read() as connection:
            runs = runs_of(connection, blob.id, limit=RUNS_SHOWN)
        if runs:  # Else it was collected meanwhile.
            return Checked(blob=blob, code=error.code, problem=error.message, runs=runs)
    return Checked(blob=blob)
