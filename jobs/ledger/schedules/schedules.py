"""Rows of schedules: read, add, change and delete them. ``fire`` decides their slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, delete, exists, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from jobs.database.models import (
    DUE,
    HELD,
    LIVE_OF_SCHEDULE,
    SUCCESS_OF_SCHEDULE,
    JobRun,
    JobSchedule,
    JsonText,
    UtcDateTime,
)
from jobs.database.sql import Executor, dialect_of, ledger_now
from jobs.errors import NotFound
from jobs.scheduling.schedule import Schedule
from jobs.scheduling.serialize import parse_data
from jobs.scheduling.slots import next_slot
from jobs.scheduling.zones import data_version

Owner = Literal["code", "operator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule, as read. ``arguments`` and ``definition`` are JSON text; ``schedule`` is the parsed definition."""

    name: str
    owner: Owner
    module: str | None
    place: str | None
    kind: str
    queue: str
    priority: int
    arguments: str
    arguments_version: int
    max_attempts: int
    definition: str
    created_at: datetime
    changed_at: datetime
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    decided_until: datetime
    next_slot_at: datetime | None
    zone_data: str | None
    held_slot_at: datetime | None
    last_slot_at: datetime | None
    last_fired_at: datetime | None
    last_run_id: UUID | None
    problem: str | None

    @property
    def schedule(self) -> Schedule:
        """The parsed definition.

        Raises:
            DefinitionError: this release cannot read it.
        """
        return _read(self.definition)

    @property
    def state(self) -> str:
        """``active``, ``paused``, ``ended`` (it has no future slot) or ``broken`` (this release cannot read it)."""
        if self.problem:
            return "broken"
        if self.paused_at:
            return "paused"
        return "active" if self.next_slot_at or self.held_slot_at else "ended"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The ledger's moment, the earliest future slot, and whether a held slot waits."""

    now: datetime
    next_slot_at: datetime | None
    has_held: bool


_NAMES = tuple(field.name for field in fields(ScheduleRecord))
_COLUMNS = tuple(
    cast(JobSchedule.__table__.c[name], Text).label(name)
    if name in ("arguments", "definition")
    else JobSchedule.__table__.c[name]
    for name in _NAMES
)
# In the words of the partial indexes, because SQLite does not use them otherwise.
_IS_DUE_EVER: ColumnElement[bool] = literal_column(f"({DUE})")
_IS_HELD: ColumnElement[bool] = literal_column(f"({HELD})")


def outlook(session: Executor, *, now: datetime | None = None) -> Outlook:
    """The facts that a scheduler needs to wait: three index probes, however many schedules there are."""
    return Outlook(*session.execute(_outlook(), {"now": now}).one())


@cache
def _outlook() -> Select[*tuple[Any, ...]]:
    earliest = (
        select(JobSchedule.next_slot_at).where(_IS_DUE_EVER).order_by(JobSchedule.next_slot_at).limit(1)
    ).scalar_subquery()
    return select(ledger_now(), earliest, exists(select(JobSchedule.name).where(_IS_HELD)))


def lock_due(session: Executor, *, limit: int, now: datetime | None = None) -> list[ScheduleRecord]:
    """Schedules with a due slot, longest due first; skips those that another scheduler has locked."""
    query = _locked().where(_IS_DUE_EVER, JobSchedule.next_slot_at <= ledger_now())
    return _records(session, query.order_by(JobSchedule.next_slot_at).limit(limit), now=now)


def lock_released(session: Executor, *, limit: int, now: datetime | None = None) -> list[ScheduleRecord]:
    """Schedules whose held slot does not wait for a run any more."""
    live = exists(select(JobRun.id).where(JobRun.schedule == JobSchedule.name, literal_column(f"({LIVE_OF_SCHEDULE})")))
    return _records(session, _locked().where(_IS_HELD, ~live).order_by(JobSchedule.name).limit(limit), now=now)


def lock_computed_elsewhere(session: Executor, *, limit: int) -> list[ScheduleRecord]:
    """Schedules whose next slot was computed with other zone data than this process has."""
    query = _locked().where(JobSchedule.zone_data.is_distinct_from(data_version()))
    return _records(session, query.order_by(JobSchedule.name).limit(limit), now=None)


def next_slot_of(record: ScheduleRecord) -> datetime | None:
    """Its next slot by this process's zone data: the first that is not decided.

    Raises:
        DefinitionError: this release cannot read it.
    """
    return next_slot(record.schedule, record.decided_until)


def lock(session: Executor, name: str) -> ScheduleRecord:
    """The schedule of this name, locked against schedulers until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    query = select(*_COLUMNS).where(JobSchedule.name == name).with_for_update()
    return _only(_records(session, query, now=None), name)


def find_schedule(session: Executor, name: str) -> ScheduleRecord:
    """The schedule of this name.

    Raises:
        NotFound: there is none.
    """
    return _only(_records(session, select(*_COLUMNS).where(JobSchedule.name == name), now=None), name)


def list_schedules(
    session: Executor,
    *,
    kind: str | None = None,
    owner: Owner | None = None,
    after: str | None = None,
    limit: int = 1000,
) -> list[ScheduleRecord]:
    """Schedules by name; ``after`` is the last name of the previous page."""
    query = select(*_COLUMNS).order_by(JobSchedule.name).limit(limit)
    if kind is not None:
        query = query.where(JobSchedule.kind == kind)
    if owner is not None:
        query = query.where(JobSchedule.owner == owner)
    if after is not None:
        query = query.where(JobSchedule.name > after)
    return _records(session, query, now=None)


def next_first(session: Executor, *, limit: int) -> list[ScheduleRecord]:
    """Schedules in the order of their next slots, so that late ones come first; paused and ended ones last."""
    waits = JobSchedule.paused_at.is_(None) & JobSchedule.next_slot_at.is_not(None)
    query = select(*_COLUMNS).order_by(waits.desc(), JobSchedule.next_slot_at, JobSchedule.name).limit(limit)
    return _records(session, query, now=None)


def count(session: Executor) -> int:
    """How many there are."""
    return session.scalar(select(func.count()).select_from(JobSchedule)) or 0


def add(session: Executor, values: Mapping[str, Any], *, next_slot_at: datetime | None, now: datetime) -> bool:
    """Insert a schedule whose slots count from ``now``, the ledger's moment; False if its name is taken."""
    make = postgresql.insert if dialect_of(session) == "postgresql" else sqlite.insert
    added = session.execute(
        make(JobSchedule)
        .values(
            **_as_json(values),
            created_at=now,
            changed_at=now,
            decided_until=now,
            next_slot_at=next_slot_at,
            zone_data=data_version(),
        )
        .on_conflict_do_nothing()
        .returning(JobSchedule.name)
    )
    return added.first() is not None


def change(session: Executor, name: str, values: Mapping[str, Any], *, now: datetime) -> None:
    """Write these columns of a schedule that the caller has locked."""
    if "next_slot_at" in values:
        values = {**values, "zone_data": data_version()}
    session.execute(
        update(JobSchedule).where(JobSchedule.name == name).values(**_as_json(values), changed_at=now)
    )  # fmt: skip


def drop(session: Executor, names: Sequence[str]) -> None:
    """Delete schedules. Their slots stay, so that a schedule of the same name does not fire them again."""
    session.execute(delete(JobSchedule).where(JobSchedule.name.in_(list(names))))


def last_successes(session: Executor, names: Sequence[str]) -> dict[str, datetime]:
    """When a run of each schedule last succeeded: one index probe per name."""
    newest = (
        select(func.max(JobRun.finished_at, type_=UtcDateTime()))
        .where(JobRun.schedule == JobSchedule.name, literal_column(f"({SUCCESS_OF_SCHEDULE})"))
        .correlate(JobSchedule)
        .scalar_subquery()
    )
    rows = session.execute(select(JobSchedule.name, newest).where(JobSchedule.name.in_(list(names))))
    return {name: moment for name, moment in rows if moment is not None}


@lru_cache(maxsize=20_000)
def _read(definition: str) -> Schedule:
    return parse_data(definition)


def _locked() -> Select[Any]:
    return select(*_COLUMNS).with_for_update(skip_locked=True)


def _records(session: Executor, query: Select[Any], *, now: datetime | None) -> list[ScheduleRecord]:
    return [ScheduleRecord(**row._mapping) for row in session.execute(query, {"now": now})]


def _only(found: Sequence[ScheduleRecord], name: str) -> ScheduleRecord:
    if not found:
        raise NotFound(f"There is no schedule {name!r}.", hint="jobledger schedules list shows those there are.")
    return found[0]


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: cast(value, JsonText) if name in ("arguments", "definition") else value for name, value in values.items()
    }
