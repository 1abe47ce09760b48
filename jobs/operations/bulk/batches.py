"""Performs an action in batches: each is one short transaction that locks its runs, changes them, and records it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar
from uuid import UUID

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import JobsError, LedgerBusy
from jobs.events import ServiceFailed
from jobs.ledger.history.reach import held_versions
from jobs.ledger.operators import audit, audit_queries
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import Version, versions
from jobs.ledger.queries.pagination import Place, places
from jobs.ledger.queries.selectors import WAITING, Selector
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.operator import Permission
from jobs.ready.protocol import ReadyEntry

BATCH = 500
"""Runs per transaction. Source: measured; a batch takes 20 to 150 ms, far below a second."""
BUSY_LIMIT = 5
"""How often a batch is repeated if the ledger is busy. Source: decision; each waits for the lock time limit."""
STOP_POLL_SECONDS = 0.2
"""Seconds after which a wait for the rate checks whether to stop. Source: decision; immediate, for people."""
T = TypeVar("T")
SHOWN = 20
"""Skipped and new runs in the report; the audit has all of them."""


@dataclass(slots=True)
class BatchResult:
    """The result of one batch: an entry per run, and the runs that became ready or are no longer ready."""

    notes: list[AuditEntry] = field(default_factory=list)
    ready: list[ReadyEntry] = field(default_factory=list)
    forgotten: list[tuple[UUID, str]] = field(default_factory=list)


class Act(Protocol):
    """An action on runs. ``states`` are those it affects if the selector names none."""

    @property
    def verb(self) -> str: ...
    @property
    def permission(self) -> Permission: ...
    @property
    def states(self) -> tuple[str, ...]: ...
    @property
    def purged(self) -> bool: ...
    def options(self) -> dict[str, Any]:
        """The operator's options besides the selector, for the audit."""
        ...

    def refusals(self, session: Executor, before: dict[UUID, Version]) -> dict[UUID, str]:
        """Those of these runs that it would skip, and why."""
        ...

    def changes_to(self, run: RunRecord) -> list[tuple[str, object, object]]:
        """The changes to a run that it does not skip: what, from, to."""
        ...

    def apply(self, session: Executor, before: dict[UUID, Version]) -> BatchResult:
        """Change these runs, which are locked; ``before`` holds their versions."""
        ...


@dataclass(slots=True, kw_only=True)
class Report:
    """The result. ``some_skipped`` are the first skipped runs, each with its reason; ``new_runs`` are (old, new)."""

    action_id: UUID
    verb: str
    expected: int
    done: int = 0
    skipped: int = 0
    is_interrupted: bool = False
    some_skipped: list[tuple[UUID, str]] = field(default_factory=list)
    new_runs: list[tuple[UUID, UUID]] = field(default_factory=list)


def retry_while_busy(do: Callable[[], T]) -> T:
    """Repeat the call while the ledger is busy: a batch that failed so has changed nothing."""
    for _ in range(BUSY_LIMIT):
        try:
            return do()
        except LedgerBusy:
            continue
    return do()


def update_ready_index(app: App, step: BatchResult) -> None:
    """Update the ready index after a committed batch; it is a hint, so a failure only costs time."""
    if app.ready is None:
        return
    try:
        if step.forgotten:
            app.ready.forget(step.forgotten)
        if step.ready:
            app.ready.add(step.ready)
    except JobsError as error:
        app.events.emit([ServiceFailed("ready", "add", str(error))])


def run_batches(
    app: App,
    act: Act,
    selector: Selector,
    report: Report,
    moment: datetime,
    rate: float | None,
    is_stopped: Callable[[], bool],
    progress: Callable[[Report], None],
) -> None:
    size = BATCH if rate is None else max(1, min(BATCH, int(rate)))
    started, dealt = app.clock.monotonic(), 0
    states = frozenset("queued" if one in WAITING else str(one) for one in selector.states)
    # Runs that the action itself moves enter their new state later than this, so they do not match again.
    until = moment if selector.until is None else min(selector.until, moment)
    for run_ids in pages(app, replace(selector, until=until), size):
        while rate is not None and not is_stopped():
            ahead = dealt / rate - (app.clock.monotonic() - started)
            if ahead <= 0:
                break
            app.clock.sleep(min(ahead, STOP_POLL_SECONDS))
        if is_stopped() or not is_wanted(app, report.action_id):
            report.is_interrupted = True
            return
        step = retry_while_busy(partial(_one_batch, app, act, report.action_id, run_ids, states))
        add_up(report, step)
        progress(report)
        dealt += len(run_ids)


def pages(app: App, selector: Selector, size: int) -> Iterator[list[UUID]]:
    """Batches of ids, oldest first; no transaction is open between two of them."""
    left = selector.limit
    parts: Sequence[Selector] = [selector]
    if len(selector.ids) > size and left is None:
        parts = [
            replace(selector, ids=selector.ids[start : start + size]) for start in range(0, len(selector.ids), size)
        ]
    for part in parts:
        after: Place | None = None
        while left is None or left > 0:
            wanted = size if left is None else min(size, left)
            with app.database.read() as connection:
                walk = places(connection, replace(part, limit=None), after=after, page=wanted)
                page = list(islice(walk, wanted))
            if not page:
                break
            yield [run_id for _, run_id in page]
            after = page[-1]
            left = None if left is None else left - len(page)


def _one_batch(app: App, act: Act, action_id: UUID, run_ids: list[UUID], states: frozenset[str]) -> BatchResult:
    with app.database.write() as connection:
        found = held_versions(connection, run_ids, has_history=app.database.history.is_there)
        for run_id in audit_queries.already_recorded(connection, action_id, run_ids):
            found.pop(run_id, None)
        # Between the look and the lock a run may have moved on. Acting on a state that was not selected would, say,
        # make a new run of one that has succeeded meanwhile.
        before = {run_id: one for run_id, one in found.items() if not states or one["state"] in states}
        step = act.apply(connection, before)
        step.notes += [
            AuditEntry(run_id, skipped=f"it is {one['state']} meanwhile")
            for run_id, one in found.items()
            if run_id not in before
        ]
        moved = versions(connection, [one.run_id for one in step.notes if one.skipped is None])
        step.notes = [
            one if one.skipped is not None else replace(one, before=before[one.run_id], after=moved.get(one.run_id))
            for one in step.notes
        ]
        audit.record(connection, action_id, step.notes)
    update_ready_index(app, step)
    return step


def add_up(report: Report, step: BatchResult) -> None:
    for one in step.notes:
        if one.skipped is not None:
            report.skipped += 1
            if len(report.some_skipped) < SHOWN:
                report.some_skipped.append((one.run_id, one.skipped))
            continue
        report.done += 1
        if one.new_run_id is not None and len(report.new_runs) < SHOWN:
            report.new_runs.append((one.run_id, one.new_run_id))


def is_wanted(app: App, action_id: UUID) -> bool:
    """Whether no process has stopped the action."""
    with app.database.read() as connection:
        return audit_queries.is_running(connection, action_id)
