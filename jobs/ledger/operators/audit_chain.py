"""The audit chain: gives links their places, and reads them and the rows that they cover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Float,
    Integer,
    String,
    Text,
    Uuid,
    bindparam,
    cast,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    update,
)

from jobs.database.direct_statements import DirectStatement, Runner
from jobs.database.models import AuditHead, AuditLink, OperatorAction, OperatorActionRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, plus_seconds
from jobs.ledger.operators.audit_links import (
    BEGUN_COLUMNS,
    ENDED_COLUMNS,
    PRUNED,
    START,
    EntryText,
    digest_of,
    write_link,
)

NOTHING = "0" * 64
"""The hash before the first link."""
PAGE = 500
ACTIONS = 50
"""Actions whose links are read at once. Source: decision; one of a million runs has 2,000 links."""
ENTRIES = 5000
_PLACED = RowBatch("placed", id=Uuid(), seq=Integer(), hash=String())
_HAS_PENDING = DirectStatement(lambda dialect: select(exists().where(AuditLink.seq.is_(None))))


class Link(NamedTuple):
    """A link, as read. ``seq`` and ``hash`` are None until it has its place."""

    id: UUID
    action_id: UUID | None
    part: str
    batch: int | None
    size: int
    digest: str
    row_digests: str | None
    written_at: datetime
    seq: int | None
    hash: str | None


class Head(NamedTuple):
    """The last link of the chain; ``seq`` 0 is an empty chain."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


_LINK = tuple(getattr(AuditLink, name) for name in Link._fields)


def hash_of(link: Link, seq: int, before: str) -> str:
    """The hash of a link at a place: over everything that it says and the hash of the link before it."""
    return digest_of([before, seq, *link[:8]])


def has_pending(runner: Runner) -> bool:
    """Whether a link waits for its place. One probe of a small index."""
    return bool(_HAS_PENDING.rows(runner, {})[0][0])


def chain_pending(session: Executor, *, limit: int = PAGE) -> int:
    """Add up to ``limit`` waiting links to the chain, oldest first; returns how many.

    0 also if another process is adding some now.
    """
    query = select(AuditHead.seq, AuditHead.hash).where(AuditHead.id == 1).with_for_update(skip_locked=True)
    row = session.execute(query).one_or_none()
    if row is None:
        return 0
    seq, last = row
    placed: list[tuple[UUID, int, str]] = []
    for link in pending_links(session, limit=limit):
        seq, last = seq + 1, hash_of(link, seq + 1, last)
        placed.append((link.id, seq, last))
    if not placed:
        return 0
    dialect = dialect_of(session)
    new = _PLACED.table(dialect).c
    session.execute(
        update(AuditLink)
        .where(AuditLink.id == new.id, _PLACED.among(dialect, AuditLink.id, "id"))
        .values(seq=new.seq, hash=new.hash),
        _PLACED.rows(dialect, placed),
    )
    session.execute(
        update(AuditHead).where(AuditHead.id == 1).values(seq=seq, hash=last)
    )  # fmt: skip
    return len(placed)


def head_of(session: Executor) -> Head | None:
    """The head of the chain; None if its row is gone."""
    row = session.execute(select(AuditHead.seq, AuditHead.hash).where(AuditHead.id == 1)).one_or_none()
    return Head(*row) if row is not None else None


def pending_links(session: Executor, *, limit: int) -> list[Link]:
    """Links without a place, in the order in which they were written."""
    query = select(*_LINK).where(AuditLink.seq.is_(None)).order_by(AuditLink.written_at, AuditLink.id).limit(limit)
    return [Link(*row) for row in session.execute(query)]


def count_pending(session: Executor) -> int:
    """How many links have no place."""
    return session.scalar(select(func.count()).select_from(AuditLink).where(AuditLink.seq.is_(None))) or 0


def links_after(session: Executor, seq: int) -> Iterator[Link]:
    """The chain from the link after ``seq`` on, a page at a time."""
    while True:
        query = select(*_LINK).where(AuditLink.seq > seq).order_by(AuditLink.seq).limit(PAGE)
        page = [Link(*row) for row in session.execute(query)]
        yield from page
        if len(page) < PAGE:
            return
        seq = page[-1].seq or 0


def start_of(session: Executor) -> Link | None:
    """The link that says where the chain starts: ``size`` is the number of actions from before the chain.

    The migration wrote the first one. When the pruner deletes the beginning of the chain, it writes another: ``batch``
    is the place of the last link that it deleted, and ``digest`` that link's hash.
    """
    query = select(*_LINK).where(AuditLink.part == START).order_by(AuditLink.written_at.desc(), AuditLink.id.desc())
    row = session.execute(query.limit(1)).one_or_none()
    return Link(*row) if row is not None else None


def prune_links(session: Executor, *, after: timedelta, limit: int = PAGE, now: datetime | None = None) -> int:
    """Delete the beginning of the chain, as far as its links are older than ``after`` and their actions are deleted.

    The last link stays. Returns the number of links.
    """
    start, head = start_of(session), head_of(session)
    if start is None or head is None:
        return 0
    is_kept = or_(
        AuditLink.written_at >= plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float())),
        exists().where(OperatorAction.id == AuditLink.action_id),
        AuditLink.seq == head.seq,
    )
    first = select(AuditLink.seq).where(AuditLink.seq.is_not(None), is_kept).order_by(AuditLink.seq).limit(1)
    kept = session.scalar(first, {"after_seconds": after.total_seconds(), "now": now})
    if kept is None:
        return 0
    part = select(AuditLink.seq, AuditLink.hash, AuditLink.part, AuditLink.size).where(AuditLink.seq < kept)
    gone = session.execute(part.order_by(AuditLink.seq).limit(limit)).all()
    if not gone:
        return 0
    last = gone[-1]
    before_chain = start.size - sum(row.size for row in gone if row.part == PRUNED)
    write_link(session, None, START, last.hash, batch=last.seq, size=before_chain)
    session.execute(
        delete(AuditLink).where(AuditLink.seq <= last.seq)
    )  # fmt: skip
    return len(gone)


def links_of(session: Executor, action_ids: Sequence[UUID]) -> dict[UUID, list[Link]]:
    """The links of these actions, those with a place first, in order; without the checksums of their rows."""
    columns = [null() if column.key == "row_digests" else column for column in _LINK]
    query = select(*columns).where(AuditLink.action_id.in_(list(action_ids)))
    found: dict[UUID, list[Link]] = {}
    for row in session.execute(query):
        link = Link(*row)
        assert link.action_id is not None
        found.setdefault(link.action_id, []).append(link)
    for links in found.values():
        links.sort(key=lambda one: (one.seq is None, one.seq or 0, one.written_at, one.id))
    return found


def row_digests_of(session: Executor, link: Link) -> list[str]:
    """The checksums of the rows that a link covers, in their order."""
    text = session.scalar(select(AuditLink.row_digests).where(AuditLink.id == link.id))
    return text.split(",") if text else []


def known_actions(session: Executor, action_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these actions that have a row."""
    return set(session.scalars(select(OperatorAction.id).where(OperatorAction.id.in_(list(action_ids)))))


def actions_after(session: Executor, after: UUID | None) -> list[dict[str, Any]]:
    """A page of actions by id, with the digests of what they say: ``begun`` and ``ended``."""
    whole = {column.key: column for column in (*BEGUN_COLUMNS, *ENDED_COLUMNS, OperatorAction.undone_by)}
    query = select(*whole.values()).order_by(OperatorAction.id).limit(ACTIONS)
    if after is not None:
        query = query.where(OperatorAction.id > after)
    found = []
    for row in session.execute(query):
        values = row._mapping
        begun = digest_of([values[column.key] for column in BEGUN_COLUMNS])
        ended = digest_of([values[column.key] for column in ENDED_COLUMNS])
        found.append({**values, "begun": begun, "ended": ended})
    return found


def entries_after(session: Executor, action_id: UUID) -> Iterator[tuple[int | None, EntryText]]:
    """Each entry of an action with its batch, by run id, as it is stored."""
    columns = (
        OperatorActionRun.batch,
        OperatorActionRun.run_id,
        OperatorActionRun.skipped,
        OperatorActionRun.new_run_id,
        cast(OperatorActionRun.before, Text),
        cast(OperatorActionRun.after, Text),
    )
    last: UUID | None = None
    while True:
        query = select(*columns).where(OperatorActionRun.action_id == action_id)
        if last is not None:
            query = query.where(OperatorActionRun.run_id > last)
        rows = session.execute(query.order_by(OperatorActionRun.run_id).limit(ENTRIES)).all()
        for row in rows:
            yield row[0], (row[1], row[2], row[3], row[4], row[5])
        if len(rows) < ENTRIES:
            return
        last = rows[-1].run_id


def pruned_counts(session: Executor) -> tuple[int, int]:
    """How many actions the pruner deleted, and how many of them were from before the chain."""
    is_gone = ~exists().where(OperatorAction.id == AuditLink.action_id)
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(AuditLink.size), 0)).where(AuditLink.part == PRUNED, is_gone)
    ).one()
    return int(row[0]), int(row[1])


def entry_without_action(session: Executor) -> tuple[UUID, UUID] | None:
    """The action and the run of an entry whose action has no row; None if there is none."""
    has_action = exists().where(OperatorAction.id == OperatorActionRun.action_id)
    row = session.execute(select(OperatorActionRun.action_id, OperatorActionRun.run_id).where(~has_action)).first()
    return (row[0], row[1]) if row is not None else None
