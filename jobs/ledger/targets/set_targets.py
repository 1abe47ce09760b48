"""The targets of queues and kinds: what operators set, and what classes declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import or_, select, update

from jobs.database.models import JobKind, JobPublishedKind, JobQueue
from jobs.database.sql import Executor
from jobs.ledger.operators.queues import make_row
from jobs.targets.target import MAX_LATENCY, is_success

MOST = 1_000
"""Most targets of each sort that are read. Source: decision; a target is set by a person or a class."""
_TABLES: Mapping[str, type[JobQueue] | type[JobKind]] = {"queue": JobQueue, "kind": JobKind}


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """How long a ready run may wait, in seconds, and the share of ended runs that shall succeed; None: no target."""

    latency_seconds: int | None = None
    success: float | None = None

    def over(self, other: TargetRecord) -> TargetRecord:
        """This one, with the parts of ``other`` where it has none."""
        return TargetRecord(
            other.latency_seconds if self.latency_seconds is None else self.latency_seconds,
            other.success if self.success is None else self.success,
        )


NO_TARGET = TargetRecord()


class TargetInForce(NamedTuple):
    """A target, and what of it an operator set; None if operators set nothing."""

    target: TargetRecord
    by_operator: TargetRecord | None


Key = tuple[str, str]
"""``("queue" or "kind", name)``."""


def set_targets(session: Executor, what: str) -> dict[str, TargetRecord]:
    """What operators set for queues or kinds, by name."""
    table = _TABLES[what]
    query = select(table.name, table.latency_target_seconds, table.success_target).where(
        or_(table.latency_target_seconds.is_not(None), table.success_target.is_not(None))
    )
    return {row[0]: _record(row[1], row[2]) for row in session.execute(query.order_by(table.name).limit(MOST))}


def set_target_of(session: Executor, what: str, name: str) -> TargetRecord:
    """What operators set for a queue or a kind."""
    table = _TABLES[what]
    query = select(table.latency_target_seconds, table.success_target).where(table.name == name)
    row = session.execute(query).one_or_none()
    return NO_TARGET if row is None else _record(row[0], row[1])


def write_target(session: Executor, what: str, name: str, target: TargetRecord) -> None:
    """Set both parts of the target of a queue or a kind; None removes a part."""
    table = _TABLES[what]
    if target != NO_TARGET:
        make_row(session, table, name)
    session.execute(
        update(table)
        .where(table.name == name)
        .values(latency_target_seconds=target.latency_seconds, success_target=target.success)
    )


def declared_targets(session: Executor) -> dict[str, TargetRecord]:
    """What the classes of kinds declare, as the last worker that started published it."""
    row = JobPublishedKind
    query = select(row.kind, row.latency_target_seconds, row.success_target).where(
        or_(row.latency_target_seconds.is_not(None), row.success_target.is_not(None))
    )
    return {one[0]: _record(one[1], one[2]) for one in session.execute(query.order_by(row.kind).limit(MOST))}


def _declared_target(session: Executor, kind: str) -> TargetRecord:
    row = JobPublishedKind
    query = select(row.latency_target_seconds, row.success_target).where(row.kind == kind)
    found = session.execute(query).one_or_none()
    return NO_TARGET if found is None else _record(found[0], found[1])


def read_in_force(session: Executor) -> dict[Key, TargetInForce]:
    """Every target. What an operator set wins over what a class declares."""
    found = {("queue", name): TargetInForce(one, one) for name, one in set_targets(session, "queue").items()}
    of_kinds, declared = set_targets(session, "kind"), declared_targets(session)
    for name in sorted({*of_kinds, *declared}):
        own = of_kinds.get(name)
        found["kind", name] = TargetInForce((own or NO_TARGET).over(declared.get(name, NO_TARGET)), own)
    return found


def target_in_force(session: Executor, what: str, name: str) -> TargetInForce | None:
    """One target as ``read_in_force`` has it; None if nothing is set or declared."""
    own = set_target_of(session, what, name)
    declared = _declared_target(session, name) if what == "kind" else NO_TARGET
    found = TargetInForce(own.over(declared), None if own == NO_TARGET else own)
    return None if found.target == NO_TARGET else found


def targets_in_force(session: Executor) -> dict[Key, TargetRecord]:
    """Every target, whoever it is of."""
    return {key: one.target for key, one in read_in_force(session).items()}


def _record(latency_seconds: int | None, success: float | None) -> TargetRecord:
    """Values that another program wrote and that no target can have count as none."""
    return TargetRecord(
        latency_seconds if latency_seconds is not None and 0 < latency_seconds <= MAX_LATENCY.total_seconds() else None,
        success if is_success(success) else None,
    )
