"""Batches for operators: lists, and one with the batches around and inside it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from jobs.app import App
from jobs.ledger.batches import find
from jobs.ledger.batches.find import BatchRecord
from jobs.ledger.batches.members import mark_cancelled
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.detail import DetailPage, part_of


@dataclass(frozen=True, slots=True)
class BatchDetail:
    """A batch, the one around it, and the first of those inside it."""

    batch: BatchRecord
    outer: BatchRecord | None
    inner: DetailPage[BatchRecord, UUID]


def list_batches(
    app: App,
    operator: Operator,
    *,
    before: UUID | None = None,
    inside: UUID | None = None,
    is_running: bool = False,
    limit: int = 50,
) -> DetailPage[BatchRecord, UUID]:
    """Batches at the top, or directly inside one, the latest first; ``before`` is the last id of a page."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = find.list_batches(connection, before=before, inside=inside, is_running=is_running, limit=limit + 1)
    return part_of(found, limit, lambda one: one.id)


def show_batch(app: App, operator: Operator, text: str) -> BatchDetail:
    """The batch that ``text`` identifies.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        batch = find.find_named(connection, text)
        outer = None if batch.parent_id is None else find.find_batch(connection, batch.parent_id)
    return BatchDetail(batch, outer, list_batches(app, operator, inside=batch.id, limit=100))


def close_batch(app: App, operator: Operator, text: str) -> BatchRecord:
    """Refuse further members of a batch and of those inside it: the first half of cancelling one.

    The other half is the action that cancels its members, which leaves the audit entry.
    """
    operator.need(Permission.RUNS_CANCEL)
    with app.database.write() as connection:
        batch = find.find_named(connection, text)
        mark_cancelled(connection, find.inner_ids(connection, batch.id))
    return batch
