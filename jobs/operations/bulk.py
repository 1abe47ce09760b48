"""Bulk: one way to do something to many runs. Shown first, counted, in batches, on record, and stoppable.

Each batch is one short transaction that locks the runs, does it, and writes what each was before and after.
Memory is that of one batch. A run that does not allow it is skipped, with the reason, and never ends the action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import Conflict, JobsError, LedgerBusy, SelectorRefused
from jobs.events import ServiceFailed
from jobs.ledger import audit, find
from jobs.ledger.audit import Note
from jobs.ledger.records import RunRecord
from jobs.ledger.selectors import WAITING, Selector
from jobs.ledger.versions import Version, versions
from jobs.ledger.walk import Place, places, tally
from jobs.operations.operator import Operator, Permission
from jobs.operations.selector import describe
from jobs.ready.protocol import ReadyEntry
from jobs.sql import Executor

BATCH = 500
"""Runs a transaction. Source: measured; a batch takes 20 to 150 ms, far below a second."""
PATIENCE = 5
"""Times that a busy ledger is tried again. Source: decision; each waits for the lock time limit."""
T = TypeVar("T")
SHOWN = 20
"""Skipped and new runs kept for the answer; the audit has them all."""


@dataclass(slots=True)
class Step:
    """What one batch came to: a note a run, what became ready, what is ready no more."""

    notes: list[Note] = field(default_factory=list)
    ready: list[ReadyEntry] = field(default_factory=list)
    forgotten: list[tuple[UUID, str]] = field(default_factory=list)


class Act(Protocol):
    """What is done to runs. ``states`` are those it takes where the selector names none."""

    @property
    def verb(self) -> str: ...
    @property
    def permission(self) -> Permission: ...
    @property
    def states(self) -> tuple[str, ...]: ...
    @property
    def purged(self) -> bool: ...
    def options(self) -> dict[str, Any]:
        """What the operator asked for beside the selector, for the audit."""
        ...

    def apply(self, session: Executor, before: dict[UUID, Version]) -> Step:
        """Do it to these runs, which are locked; ``before`` is how they stand."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done: how many runs, of which kinds, and the oldest few."""

    verb: str
    selector: Selector
    count: int
    groups: list[tuple[str, str, int]]
    sample: list[RunRecord]


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done. ``some_skipped`` are the first, each with its reason; so are ``new_runs``, (old, new)."""

    action_id: UUID
    verb: str
    expected: int
    done: int = 0
    skipped: int = 0
    is_interrupted: bool = False
    some_skipped: list[tuple[UUID, str]] = field(default_factory=list)
    new_runs: list[tuple[UUID, UUID]] = field(default_factory=list)


def plan(app: App, operator: Operator, act: Act, selector: Selector) -> Plan:
    """The runs that ``act`` would take.

    Raises:
        SelectorRefused: nothing narrows the selector, and it does not say ``--all``.
        Forbidden: the operator may not.
    """
    operator.need(act.permission)
    whole = _whole(act, selector)
    with app.database.read() as connection:
        counted = tally(connection, whole)
        first = [run_id for _, run_id in islice(places(connection, whole, page=5), 5)]
        found = find.find_runs(connection, first)
    count = sum(counted.values())
    by_kind: dict[tuple[str, str], int] = {}
    for (state, _, kind), number in counted.items():
        by_kind[kind, state] = by_kind.get((kind, state), 0) + number
    return Plan(
        verb=act.verb,
        selector=whole,
        count=count if whole.limit is None else min(count, whole.limit),
        groups=[(kind, state, number) for (kind, state), number in sorted(by_kind.items(), key=lambda one: -one[1])],
        sample=[found[run_id] for run_id in first if run_id in found],
    )


def carry_out(
    app: App,
    operator: Operator,
    act: Act,
    planned: Plan,
    *,
    reason: str | None = None,
    expect: int | None = None,
    rate: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Report], None] = lambda report: None,
    resume: UUID | None = None,
) -> Report:
    """Do what was planned, a batch at a time.

    Args:
        expect: refuse if the plan's count differs.
        rate: at most so many runs a second.
        is_stopped: asked between batches.
        resume: go on with this action, which stopped: what it has dealt with is left.

    Raises:
        Conflict: the count is not the expected one; nothing was done.
        SelectorRefused: a reason is required.
    """
    operator.need(act.permission)
    check_reason(app, reason)
    if expect is not None and expect != planned.count:
        raise Conflict(
            f"{planned.count:,} {'run matches' if planned.count == 1 else 'runs match'}, and {expect:,} "
            f"{'was' if expect == 1 else 'were'} expected; nothing was done.",
            hint="Look again with --dry-run.",
        )
    report = Report(action_id=resume or new_run_id(), verb=act.verb, expected=planned.count)
    if not planned.count and resume is None:
        return report
    moment = _begin(app, operator, act, planned, report, reason, is_new=resume is None)
    state = "failed"
    try:
        _batches(app, act, planned.selector, report, moment, rate, is_stopped, progress)
        state = "interrupted" if report.is_interrupted else "finished"
    except KeyboardInterrupt:
        state, report.is_interrupted = "interrupted", True
        raise
    finally:
        patiently(partial(_finish, app, report.action_id, state))
    return report


def patiently(do: Callable[[], T]) -> T:
    """Do it again where the ledger was busy: nothing of a batch has happened then."""
    for _ in range(PATIENCE):
        try:
            return do()
        except LedgerBusy:
            continue
    return do()


def check_reason(app: App, reason: str | None) -> None:
    """Raises SelectorRefused: the settings require a reason, and there is none; or it is too long."""
    if app.settings.require_reason and not (reason or "").strip():
        raise SelectorRefused("A reason is required here.", hint='Say why: --reason "card service was down".')
    if reason is not None and len(reason) > 500:
        raise SelectorRefused(f"The reason has {len(reason)} characters, and 500 are kept.", hint="Shorten it.")


def tell_ready(app: App, step: Step) -> None:
    """Tell the ready index of what a committed batch changed; it is a hint, so its failure costs time only."""
    if app.ready is None:
        return
    try:
        if step.forgotten:
            app.ready.forget(step.forgotten)
        if step.ready:
            app.ready.add(step.ready)
    except JobsError as error:
        app.events.emit([ServiceFailed("ready", "add", str(error))])


def _finish(app: App, action_id: UUID, state: str) -> None:
    with app.database.write(urgent=True) as connection:
        audit.finish(connection, action_id, state)


def _whole(act: Act, selector: Selector) -> Selector:
    if selector.is_empty and not selector.is_all:
        raise SelectorRefused(
            "Nothing is selected.", hint="Name ids or options such as --kind and --state; --all means everything."
        )
    return replace(selector, states=selector.states or act.states, purged=act.purged)


def _begin(
    app: App, operator: Operator, act: Act, planned: Plan, report: Report, reason: str | None, *, is_new: bool
) -> datetime:
    said = describe(planned.selector)
    if len(planned.selector.ids) > SHOWN:
        said["ids"] = [*said["ids"][:SHOWN], f"and {len(planned.selector.ids) - SHOWN} more"]
    with app.database.write(urgent=True) as connection:
        if is_new:
            audit.begin(
                connection,
                report.action_id,
                verb=act.verb,
                actor=operator.name,
                target="runs",
                selector=said,
                options=act.options(),
                reason=reason,
                expected=planned.count,
            )
        elif not audit.resume(connection, report.action_id):
            raise Conflict(f"Action {report.action_id} was finished.", hint="Nothing of it is left to do.")
        return audit.moment(connection)


def _batches(
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
    # What the action itself moves enters its new state later than this, and is not met again.
    until = moment if selector.until is None else min(selector.until, moment)
    for run_ids in _pages(app, replace(selector, until=until), size):
        if is_stopped():
            report.is_interrupted = True
            return
        step = patiently(partial(_one_batch, app, act, report.action_id, run_ids, states))
        _add_up(report, step)
        progress(report)
        dealt += len(run_ids)
        if rate is not None:
            ahead = dealt / rate - (app.clock.monotonic() - started)
            if ahead > 0:
                app.clock.sleep(ahead)


def _pages(app: App, selector: Selector, size: int) -> Iterator[list[UUID]]:
    """Batches of ids, the oldest first; no transaction is open between two of them."""
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


def _one_batch(app: App, act: Act, action_id: UUID, run_ids: list[UUID], states: frozenset[str]) -> Step:
    with app.database.write() as connection:
        dealt_with = audit.noted(connection, action_id, run_ids)
        found = versions(connection, [one for one in run_ids if one not in dealt_with], lock=True)
        # Between the look and the lock a run may have moved on: to act on a state that nobody selected would make
        # a new run of one that has succeeded meanwhile.
        before = {run_id: one for run_id, one in found.items() if not states or one["state"] in states}
        step = act.apply(connection, before)
        step.notes += [
            Note(run_id, skipped=f"it is {one['state']} meanwhile")
            for run_id, one in found.items()
            if run_id not in before
        ]
        moved = versions(connection, [one.run_id for one in step.notes if one.skipped is None])
        step.notes = [
            one if one.skipped is not None else replace(one, before=before[one.run_id], after=moved.get(one.run_id))
            for one in step.notes
        ]
        audit.note(connection, action_id, step.notes)
    tell_ready(app, step)
    return step


def _add_up(report: Report, step: Step) -> None:
    for one in step.notes:
        if one.skipped is not None:
            report.skipped += 1
            if len(report.some_skipped) < SHOWN:
                report.some_skipped.append((one.run_id, one.skipped))
            continue
        report.done += 1
        if one.new_run_id is not None and len(report.new_runs) < SHOWN:
            report.new_runs.append((one.run_id, one.new_run_id))
