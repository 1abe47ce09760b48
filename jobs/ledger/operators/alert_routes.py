"""Rows about alerts: who receives them, and what was last sent about each problem."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, delete, literal, select, update

from jobs.database.models import AlertRoute, AlertState, JobRun, JsonText
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.states import LIVE

MAX_ROUTES = 100
MAX_STATES = 10_000
"""Most problems of all receivers that are remembered. Source: decision; alerts name at most 50 of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRecord:
    """A receiver of alerts.

    Attributes:
        kind: ``webhook``, ``slack`` or ``email``.
        target: its URL or address; None if the variable ``target_env`` of the worker's environment has it.
        secret_env: the variable that has the secret of its signatures.
        topics: what it is told about.
        group_seconds: the shortest time between two messages about one problem.
        disabled_at: since when it gets none: it answered that it wants no more.
    """

    name: str
    kind: str
    target: str | None
    target_env: str | None
    secret_env: str | None
    topics: tuple[str, ...]
    group_seconds: int
    added_by: str
    added_at: datetime
    disabled_at: datetime | None
    disabled_why: str | None

    def settled(self) -> dict[str, Any]:
        """What an operator chose, as plain values."""
        return {
            "kind": self.kind,
            "target": self.target,
            "target_env": self.target_env,
            "secret_env": self.secret_env,
            "topics": list(self.topics),
            "group_seconds": self.group_seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """What was last sent to a receiver about one problem, by the run ``run_id``."""

    route: str
    fingerprint: str
    code: str
    subject: str | None
    sentence: str
    is_firing: bool
    since: datetime
    sent_at: datetime
    sequence: int
    run_id: UUID


_ROUTE = tuple(getattr(AlertRoute, name) for name in RouteRecord.__dataclass_fields__)
_STATE = tuple(getattr(AlertState, name) for name in StateRecord.__dataclass_fields__)


def has_routes(session: Executor) -> bool:
    """Whether anybody receives alerts."""
    found = select(AlertRoute.name).where(AlertRoute.removed_at.is_(None), AlertRoute.disabled_at.is_(None))
    return session.scalar(found.limit(1)) is not None


def list_routes(session: Executor, *, lock: bool = False) -> list[RouteRecord]:
    """The receivers, by name; with ``lock`` until the transaction ends."""
    query = select(*_ROUTE).where(AlertRoute.removed_at.is_(None)).order_by(AlertRoute.name).limit(MAX_ROUTES)
    return [_route(row) for row in session.execute(query.with_for_update() if lock else query)]


def find_route(session: Executor, name: str) -> RouteRecord | None:
    """The receiver of this name."""
    row = session.execute(select(*_ROUTE).where(AlertRoute.name == name, AlertRoute.removed_at.is_(None))).one_or_none()
    return None if row is None else _route(row)


def put_route(session: Executor, name: str, settled: dict[str, Any], *, by: str, now: datetime | None = None) -> None:
    """Write a receiver; an earlier one of the name is replaced."""
    values = {
        **{one: settled[one] for one in ("kind", "target", "target_env", "secret_env", "group_seconds")},
        "topics": cast(literal(json.dumps(settled["topics"]), Text()), JsonText),
        "added_by": by,
        "added_at": ledger_now(),
        "disabled_at": None,
        "disabled_why": None,
        "removed_at": None,
    }
    write = insert_into(dialect_of(session), AlertRoute).values(name=name, **values)
    session.execute(write.on_conflict_do_update(index_elements=["name"], set_=values), {"now": now})


def remove_route(session: Executor, name: str, *, now: datetime | None = None) -> None:
    """Remove a receiver, and what was sent to it."""
    session.execute(
        update(AlertRoute).where(AlertRoute.name == name).values(removed_at=ledger_now()),
        {"now": now},
    )
    session.execute(delete(AlertState).where(AlertState.route == name))


def disable_route(session: Executor, name: str, *, why: str, now: datetime | None = None) -> None:
    """Send no more to a receiver, until an operator adds it again."""
    session.execute(
        update(AlertRoute)
        .where(AlertRoute.name == name, AlertRoute.disabled_at.is_(None))
        .values(disabled_at=ledger_now(), disabled_why=why),
        {"now": now},
    )


def alert_states(session: Executor) -> list[StateRecord]:
    """What was last sent about each problem."""
    rows = session.execute(select(*_STATE).order_by(AlertState.route, AlertState.fingerprint).limit(MAX_STATES))
    return [StateRecord(**row._mapping) for row in rows]


def write_states(session: Executor, states: Sequence[StateRecord]) -> None:
    """Remember what is being sent."""
    for one in states:
        values = {name: getattr(one, name) for name in StateRecord.__dataclass_fields__}
        write = insert_into(dialect_of(session), AlertState).values(**values)
        session.execute(write.on_conflict_do_update(index_elements=["route", "fingerprint"], set_=values))


def forget_states(session: Executor, route: str, fingerprints: Sequence[str]) -> None:
    """Forget problems that ended long ago."""
    session.execute(delete(AlertState).where(AlertState.route == route, AlertState.fingerprint.in_(list(fingerprints))))


def undelivered(session: Executor, run_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the runs that have not ended."""
    if not run_ids:
        return set()
    found = select(JobRun.id).where(JobRun.id.in_(list(run_ids)), JobRun.state.in_(sorted(LIVE)))
    return set(session.scalars(found))


def _route(row: Any) -> RouteRecord:
    values = dict(row._mapping)
    return RouteRecord(**{**values, "topics": tuple(values["topics"])})
