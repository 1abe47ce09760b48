"""Bulk actions on runs: planned first, counted, performed in batches, audited, and stoppable.

Each batch is one short transaction that locks the runs, changes them, and records their versions before and after.
Memory is that of one batch. A run that does not allow the action is skipped, with the reason, and never ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import audit
from jobs.ledger.queries import find
from jobs.ledger.queries.pagination import places, tally
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.batches import SHOWN, Act, Report, retry_while_busy, run_batches
from jobs.operations.runs.inspect import check_words, shown
from jobs.operations.runs.selector import describe
from jobs.runtime.context import correlation_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPlan:
    """What an action would affect: how many runs, of which kinds, and the oldest few."""

    verb: str
    selector: Selector
    count: int
    groups: list[tuple[str, str, int]]
    sample: list[RunRecord]


def plan(app: App, operator: Operator, act: Act, selector: Selector) -> ActionPlan:
    """The runs that ``act`` would affect.

    Raises:
        SelectorRefused: the selector is empty, without ``--all``.
        Forbidden: the operator lacks the permission.
    """
    operator.need(act.permission)
    check_words(selector, operator)
    whole = _whole(act, selector)
    with app.database.read() as connection:
        counted = tally(connection, whole)
        first = [run_id for _, run_id in islice(places(connection, whole, page=5), 5)]
        found = find.find_runs(connection, first)
    count = sum(counted.values())
    by_kind: dict[tuple[str, str], int] = {}
    for (state, _, kind), number in counted.items():
        by_kind[kind, state] = by_kind.get((kind, state), 0) + number
    return ActionPlan(
        verb=act.verb,
        selector=whole,
        count=count if whole.limit is None else min(count, whole.limit),
        groups=[(kind, state, number) for (kind, state), number in sorted(by_kind.items(), key=lambda one: -one[1])],
        sample=[shown(found[run_id], operator) for run_id in first if run_id in found],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunAction:
    """An action that is recorded, and not finished. ``moment`` is when it began, by the ledger's clock."""

    act: Act
    selector: Selector
    report: Report
    moment: datetime
    rate: float | None


def carry_out(
    app: App,
    operator: Operator,
    act: Act,
    planned: ActionPlan,
    *,
    reason: str | None = None,
    expect: int | None = None,
    rate: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Report], None] = lambda report: None,
    resume: UUID | None = None,
) -> Report:
    """Perform the plan, a batch at a time; if nothing matches, nothing is recorded.

    Args:
        expect: refuse if the plan's count differs.
        rate: at most this many runs a second.
        is_stopped: called between batches.
        resume: continue this interrupted action: skip the runs that it has handled.

    Raises:
        Conflict: the count is not the expected one; nothing was done.
        SelectorRefused: a reason is required.
    """
    if not planned.count and resume is None:
        operator.need(act.permission)
        _check(app, planned, reason=reason, expect=expect)
        return Report(action_id=new_run_id(), verb=act.verb, expected=0)
    begun = begin(app, operator, act, planned, reason=reason, expect=expect, rate=rate, resume=resume)
    return go_on(app, begun, is_stopped=is_stopped, progress=progress)


def begin(
    app: App,
    operator: Operator,
    act: Act,
    planned: ActionPlan,
    *,
    reason: str | None = None,
    expect: int | None = None,
    rate: float | None = None,
    resume: UUID | None = None,
) -> BegunAction:
    """Record the start of the plan; ``go_on`` performs it. Arguments and errors are those of ``carry_out``."""
    operator.need(act.permission)
    _check(app, planned, reason=reason, expect=expect)
    report = Report(action_id=resume or new_run_id(), verb=act.verb, expected=planned.count)
    moment = _begin(app, operator, act, planned, report, reason, is_new=resume is None)
    return BegunAction(act=act, selector=planned.selector, report=report, moment=moment, rate=rate)


def go_on(
    app: App,
    begun: BegunAction,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Perform a begun action until it is finished, stopped (here, or by ``stop``), or fails; its row records which."""
    report, state = begun.report, "failed"
    try:
        run_batches(app, begun.act, begun.selector, report, begun.moment, begun.rate, is_stopped, progress)
        state = "interrupted" if report.is_interrupted else "finished"
    except KeyboardInterrupt:
        state, report.is_interrupted = "interrupted", True
        raise
    finally:
        retry_while_busy(partial(_finish, app, report.action_id, state))
    return report


def _check(app: App, planned: ActionPlan, *, reason: str | None, expect: int | None) -> None:
    check_reason(app, reason)
    if expect is not None and expect != planned.count:
        raise Conflict(
            f"{planned.count:,} {'run matches' if planned.count == 1 else 'runs match'}, and {expect:,} "
            f"{'was' if expect == 1 else 'were'} expected; nothing was done.",
            hint="Look again with --dry-run.",
        )


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
    app: App, operator: Operator, act: Act, planned: ActionPlan, report: Report, reason: str | None, *, is_new: bool
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
                request_id=correlation_id.get(),
            )
            return ledger_moment(connection)
        began = audit.resume(connection, report.action_id)
        if began is None:
            raise Conflict(f"Action {report.action_id} was finished.", hint="It has nothing left to do.")
        # Not the current moment: new runs that the action made before it stopped would then match as old ones.
        return began
