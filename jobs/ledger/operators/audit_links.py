"""Links of the audit chain: each holds a digest of audit rows, written in the transaction that writes the rows.

A link has no place in the chain yet, so operators' transactions do not wait for each other: ``audit_chain`` adds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID
from zlib import crc32

from sqlalchemy import Insert, Text, bindparam, cast, insert, select

from jobs.clock import new_run_id
from jobs.database.models import AuditLink, JsonText, OperatorAction
from jobs.database.sql import Executor, ledger_now

START, BEGUN, RUNS, RESUMED, ENDED, UNDONE, PRUNED = "start", "begun", "runs", "resumed", "ended", "undone", "pruned"
_BEGUN = ("id", "verb", "actor", "target", "selector", "options", "reason", "started_at", "expected", "before",
          "undoes", "request_id")  # fmt: skip
_ENDED = ("id", "state", "finished_at", "done", "skipped", "after")

_GIVEN = ("id", "action_id", "part", "batch", "size", "digest", "row_digests")

EntryText = tuple[UUID, str | None, UUID | None, str | None, str | None]
"""An entry of an action as it is stored: run, why it was skipped, the new run, before and after as JSON text."""


def as_text(name: str) -> Any:
    """A column of ``operator_actions``; JSON as its stored text, which no driver has read."""
    column = getattr(OperatorAction, name)
    return cast(column, Text).label(name) if isinstance(column.type, JsonText) else column


BEGUN_COLUMNS = tuple(map(as_text, _BEGUN))
"""What an action says from its start on; it never changes."""
ENDED_COLUMNS = tuple(map(as_text, _ENDED))
"""What an action says once it has ended."""


def digest_of(values: Iterable[Any]) -> str:
    """64 hexadecimal digits for these values: text, numbers, ids, moments or None."""
    text = json.dumps([_plain(value) for value in values])
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def entry_text(entry: EntryText) -> bytes:
    """An entry as the bytes that its digests cover."""
    run_id, skipped, new_run_id, before, after = entry
    new = new_run_id.hex if new_run_id is not None else None
    return f"{run_id.hex}\x1f{skipped}\x1f{new}\x1f{before}\x1f{after}\n".encode()


def entry_digest(text: bytes) -> str:
    """Eight digits, which tell the rows of a batch apart: a checksum. The digest of the batch proves them."""
    return f"{crc32(text):08x}"


def link_of_entries(action_id: UUID, batch: int, entries: Sequence[EntryText]) -> dict[str, Any]:
    """The values of the link of one batch of entries, for ``insert_link`` in the transaction that inserts them."""
    # Each text begins with the id of its run, so this is the order in which they are read.
    texts = sorted(map(entry_text, entries))
    digest = hashlib.blake2b(b"".join(texts), digest_size=32).hexdigest()
    row_digests = ",".join([entry_digest(one) for one in texts])
    return _values(action_id, RUNS, digest, batch=batch, size=len(texts), row_digests=row_digests)


def link_state(session: Executor, action_id: UUID, part: str) -> None:
    """Link what an action says now, in the transaction that changed it: its start, or its end."""
    columns = BEGUN_COLUMNS if part == BEGUN else ENDED_COLUMNS
    row = session.execute(select(*columns).where(OperatorAction.id == action_id)).one_or_none()
    if row is not None:
        write_link(session, action_id, part, digest_of(row))


def link_pruned(session: Executor, action_ids: Sequence[UUID]) -> None:
    """Link the end of these actions' rows, once each, before the pruner deletes the first of them.

    ``size`` is 1 for an action from before the chain, which has no other link.
    """
    known = select(AuditLink.action_id, AuditLink.part).where(
        AuditLink.action_id.in_(list(action_ids)), AuditLink.part.in_([BEGUN, PRUNED])
    )
    parts = {(row.action_id, row.part) for row in session.execute(known)}
    new = [
        {"id": new_run_id(), "action_id": one, "size": int((one, BEGUN) not in parts), "digest": digest_of([one])}
        for one in action_ids
        if (one, PRUNED) not in parts
    ]
    if new:
        statement = insert(AuditLink).values(part=PRUNED, written_at=ledger_now())
        session.execute(statement, [{**one, "now": None} for one in new])


def write_link(
    session: Executor,
    action_id: UUID | None,
    part: str,
    digest: str,
    *,
    batch: int | None = None,
    size: int = 0,
    row_digests: str | None = None,
) -> None:
    """Insert a link without a place."""
    values = _values(action_id, part, digest, batch=batch, size=size, row_digests=row_digests)
    session.execute(insert_link(), values)


@cache
def insert_link() -> Insert:
    """Inserts a link without a place, from values of ``link_of_entries``."""
    given = {name: bindparam(f"link_{name}", type_=getattr(AuditLink, name).type) for name in _GIVEN}
    return insert(AuditLink).values(**given, written_at=ledger_now())


def _values(
    action_id: UUID | None, part: str, digest: str, *, batch: int | None, size: int, row_digests: str | None
) -> dict[str, Any]:
    values = (new_run_id(), action_id, part, batch, size, digest, row_digests)
    return {"now": None, **{f"link_{name}": value for name, value in zip(_GIVEN, values, strict=True)}}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value
