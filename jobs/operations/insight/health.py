"""Health: checks for people whether each part that a ledger needs is there and works."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.app import App
from jobs.errors import JobsError
from jobs.ledger import workers
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import leader
from jobs.migration import schema
from jobs.operations.audit.operator import Operator, Permission

ROLE = "scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    """One part. ``is_well`` is None if the part is missing and not needed."""

    name: str
    is_well: bool | None
    says: str
    facts: tuple[tuple[str, object], ...] = ()


def look(app: App, operator: Operator) -> list[ComponentHealth]:
    """The ledger, the ready index, the workers and the scheduler.

    Raises:
        ServiceDown: the ledger itself does not answer, so the other parts are unknown.
    """
    operator.need(Permission.RUNS_READ)
    return [_ledger(app), _index(app), _workers(app), _scheduler(app)]


def _ledger(app: App) -> ComponentHealth:
    try:
        found: str | None = schema.check(app.database)
        is_well, says = True, f"It answers, with this release's tables ({app.database.dialect})."
    except JobsError as error:
        found = schema.current(app.database)
        is_well, says = False, f"{error.message} {error.hint or ''}".strip()
    with app.database.read() as connection:
        now = ledger_moment(connection)
    drift = abs((app.clock.now() - now).total_seconds())
    facts: list[tuple[str, object]] = [
        ("database", app.database.shown),
        ("tables", f"revision {found}, needed {schema.REVISION}"),
        ("clock", "as this server's" if drift < 1 else f"differs from this server's by {drift:.0f} s"),
    ]
    return ComponentHealth(name="Ledger", is_well=is_well, says=says, facts=tuple(facts))


def _index(app: App) -> ComponentHealth:
    if app.ready is None:
        return ComponentHealth(name="Ready index", is_well=None, says="The ledger itself is the index.")
    try:
        is_well = app.ready.is_intact()
    except JobsError as error:
        return ComponentHealth(name="Ready index", is_well=False, says=f"It does not answer: {error.message}")
    says = "It answers, and is whole." if is_well else "It was wiped, and is being filled again from the ledger."
    return ComponentHealth(name="Ready index", is_well=is_well, says=says)


def _workers(app: App) -> ComponentHealth:
    with app.database.read() as connection:
        live = workers.live(connection)
    if not live:
        return ComponentHealth(name="Workers", is_well=False, says="No worker is live: nothing is performed.")
    failing = [one for one in live if one.problem]
    seen: datetime = max(one.seen_at for one in live)
    number = len(live)
    facts: list[tuple[str, object]] = [
        ("threads", f"{sum(one.busy for one in live)} of {sum(one.threads for one in live)} busy"),
        ("releases", ", ".join(sorted({one.version for one in live}))),
        ("last seen", seen),
    ]
    says = f"{number:,} {'process is' if number == 1 else 'processes are'} live."
    if failing:
        says += f" Of {failing[0].name} {failing[0].problem}"
    return ComponentHealth(name="Workers", is_well=not failing, says=says, facts=tuple(facts))


def _scheduler(app: App) -> ComponentHealth:
    with app.database.read() as connection:
        leads = leader.leader(connection, ROLE)
    if leads is None:
        return ComponentHealth(name="Scheduler", is_well=None, says="None has ever led here; schedules need one.")
    facts: tuple[tuple[str, object], ...] = (("leader", leads.holder), ("last tick", leads.ticked_at))
    if not leads.is_live:
        return ComponentHealth(
            name="Scheduler", is_well=False, says="The one that led is gone, and none took over.", facts=facts
        )
    return ComponentHealth(name="Scheduler", is_well=True, says="One leads, and does its work.", facts=facts)
