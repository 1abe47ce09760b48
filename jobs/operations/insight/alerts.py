"""Alerts: current problems, worst first, each with the command that fixes it or shows more."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from jobs.app import App
from jobs.database.sql import Executor
from jobs.formats.duration import format_duration
from jobs.formats.percent import format_percent
from jobs.formats.queue_weights import served_word
from jobs.ledger.breakers.reports import list_breakers
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import queues
from jobs.ledger.operators.queue_values import queue_values
from jobs.ledger.queries import gauges, reports
from jobs.ledger.queries.gauges import Gauges
from jobs.ledger.schedules import leader, schedules
from jobs.ledger.targets.waiting import oldest_of_kinds
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight.targets import TargetSummary, read_targets
from jobs.targets.burn import RULES, WINDOWS

LATE_SECONDS = 60.0
"""A slot undecided for this long means that no scheduler works. Source: decision; far above a standby's takeover."""
ROLE = "scheduler"
T = TypeVar("T")
MOST = 5
"""Most alerts of one kind. Source: decision; more are a list, which has a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One problem.

    Attributes:
        code: stable: ``failing``, ``no_worker``, ``unserved``, ``late``, ``burning``, ``breaker``, ``paused``,
            ``dead``, ``lost``, ``no_scheduler``, ``broken_schedule``.
        is_bad: work is not done; otherwise it only needs attention.
        subject: the queue, kind, schedule or error group concerned.
        command: what to type after ``jobledger``.
    """

    code: str
    is_bad: bool
    sentence: str
    command: str
    subject: str | None = None

    @property
    def is_of_kind(self) -> bool:
        """Whether the subject of a ``late`` or ``burning`` one is a kind; else it is a queue."""
        return self.command.startswith("list --kind ")


def alerts(
    app: App,
    operator: Operator,
    *,
    most: int = MOST,
    without_kind: str | None = None,
    targets: list[TargetSummary] | None = None,
) -> list[Alert]:
    """Current problems. Needs only a few statements, however large the ledger.

    Args:
        most: alerts of one kind.
        without_kind: leave the dead runs of this kind out.
        targets: what ``list_targets`` returned a moment ago.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        seen = gauges.read_gauges(connection)
        if targets is None:
            targets = read_targets(connection, app.settings)
        found = [
            *_failing(seen, most),
            *_unserved(seen, most),
            *_late(app, seen, queue_values(connection, "latency_target_seconds"), most),
            *_late_kinds(connection, targets, most),
            *_burning(targets, most),
            *_breakers(connection, most),
            *_schedules(connection, most),
            *_lost(seen),
            *_dead(connection, seen, operator, most, without_kind),
            *_paused(connection, most),
        ]
    return sorted(found, key=lambda one: not one.is_bad)


def _unserved(seen: Gauges, most: int) -> Iterator[Alert]:
    if not seen.threads:
        ready, running = seen.total("ready"), seen.total("running")
        if ready or running:
            said = f"No worker is live; {ready:,} {_runs(ready)} ready" + (
                f", {running:,} running." if running else "."
            )
            yield Alert(code="no_worker", is_bad=True, sentence=said, command="worker --import YOUR.MODULE")
        return
    for one in _most([one for one in seen.queues if one.ready and not seen.queue_workers.get(one.queue)], most):
        if not one.is_paused:
            command = f"worker --queue {_word(served_word(one.queue))}"
            yield Alert(
                code="unserved", is_bad=True, subject=one.queue, command=command,
                sentence=f"No live worker serves the queue {one.queue}; {one.ready:,} {_runs(one.ready)} ready.",
            )  # fmt: skip


def _failing(seen: Gauges, most: int) -> Iterator[Alert]:
    for name, problem in _most(sorted(seen.failing.items()), most):
        yield Alert(
            code="failing", is_bad=True, subject=name, command="workers list",
            sentence=f"The worker process {name} does not get its work done: {problem}",
        )  # fmt: skip


def _late(app: App, seen: Gauges, of_queues: Mapping[str, int], most: int) -> Iterator[Alert]:
    default = app.settings.latency_target.total_seconds()
    waited = ((one.oldest_seconds or 0.0, of_queues.get(one.queue, default), one) for one in seen.queues)
    late = [each for each in waited if not each[2].is_paused and each[0] > each[1]]
    for oldest, target, one in _most(sorted(late, key=lambda each: -each[0]), most):
        yield Alert(
            code="late", is_bad=False, subject=one.queue, command=f"list --queue {_word(one.queue)} --state ready",
            sentence=f"The oldest ready run of {one.queue} has waited {_span(oldest)}; {_span(target)} is the target.",
        )  # fmt: skip


def _late_kinds(connection: Executor, targets: list[TargetSummary], most: int) -> Iterator[Alert]:
    of = {one.name: one.latency_seconds for one in targets if one.what == "kind" and one.latency_seconds is not None}
    waited = oldest_of_kinds(connection, of)
    late = sorted((-oldest, kind) for kind, oldest in waited.items() if oldest > of[kind])
    for oldest, kind in _most(late, most):
        yield Alert(
            code="late", is_bad=False, subject=kind, command=f"list --kind {_word(kind)} --state ready",
            sentence=f"The oldest ready {kind} has waited {_span(-oldest)}; {_span(of[kind])} is the target.",
        )  # fmt: skip


def _burning(targets: list[TargetSummary], most: int) -> Iterator[Alert]:
    burning = [(one.budget.broken_rule, one.budget) for one in targets if one.budget is not None]
    found = [(RULES.index(rule), budget) for rule, budget in burning if rule is not None]
    for place, one in _most(sorted(found, key=lambda each: (each[0], -each[1].burn(RULES[each[0]].long).rate)), most):
        rule = RULES[place]
        burn = one.burn(rule.long)
        yield Alert(
            code="burning", is_bad=rule.is_urgent, subject=one.name,
            command=f"list --{one.what} {_word(one.name)} --state dead",
            sentence=f"The error budget of the {one.what} {one.name} burns at {burn.rate:.1f} times its rate:"
            f" {burn.count.dead:,} of {burn.count.ended:,} runs died in {_span(WINDOWS[rule.long].total_seconds())};"
            f" {format_percent(one.success)} is the target.",
        )  # fmt: skip


def _breakers(connection: Executor, most: int) -> Iterator[Alert]:
    for one in _most([one for one in list_breakers(connection) if one.open], most):
        of = "is open" if one.keyed_by is None else f"is open for {one.open:,} {'key' if one.open == 1 else 'keys'}"
        error = f": {one.error_type}" if one.error_type else ""
        said = f"The breaker {one.name} {of}, and parks {one.parked:,} {'run' if one.parked == 1 else 'runs'}{error}."
        yield Alert(
            code="breaker", is_bad=True, subject=one.name, sentence=said, command=f"breakers show {_word(one.name)}"
        )


def _schedules(connection: Executor, most: int) -> Iterator[Alert]:
    now = ledger_moment(connection)
    every = schedules.next_first(connection, limit=1000)
    for one in _most([one for one in every if one.problem], most):
        yield Alert(
            code="broken_schedule", is_bad=True, subject=one.name, command=f"schedules show {_word(one.name)}",
            sentence=f"The schedule {one.name} makes no runs: {one.problem}",
        )  # fmt: skip
    waiting = [one for one in every if one.state == "active" and one.next_slot_at is not None]
    late = max(((now - one.next_slot_at).total_seconds() for one in waiting if one.next_slot_at), default=0.0)
    leads = leader.leader(connection, ROLE)
    if waiting and (leads is None or not leads.is_live):
        count = len(waiting)
        said = f"No scheduler is live; {count:,} {'schedule waits' if count == 1 else 'schedules wait'}"
        said += f", the latest by {_span(late)}." if late > 0 else "."
        yield Alert(code="no_scheduler", is_bad=True, sentence=said, command="scheduler --import YOUR.MODULE")
    elif late > LATE_SECONDS:
        said = f"A slot of a schedule has waited {_span(late)} for the scheduler."
        yield Alert(code="no_scheduler", is_bad=True, sentence=said, command="schedules list")


def _lost(seen: Gauges) -> Iterator[Alert]:
    if seen.leases_expired:
        number = seen.leases_expired
        said = f"{number:,} running {_runs(number)} lost: its worker is gone. A live one rescues it."
        if number > 1:
            said = f"{number:,} running {_runs(number)} lost: their workers are gone. A live one rescues them."
        yield Alert(code="lost", is_bad=False, sentence=said, command="workers list")


def _dead(
    connection: Executor, seen: Gauges, operator: Operator, most: int, without_kind: str | None
) -> Iterator[Alert]:
    total = seen.total("dead")
    if not total:
        return
    groups = reports.dead_groups(connection, limit=most)
    for one in groups[: most - 2]:
        if one.kind == without_kind:
            continue
        # The text of an error may be personal.
        words = (one.error_message or "").strip().partition("\n")[0] if operator.may(Permission.ARGUMENTS_READ) else ""
        error = f"{one.error_type}{': ' if words else ''}{words}" if one.error_type else one.cause
        said = f"{one.count:,} of {one.kind} {'is' if one.count == 1 else 'are'} dead: {error}"
        command = f"dlq replay --fingerprint {one.fingerprint}" if one.fingerprint else ""
        yield Alert(
            code="dead", is_bad=False, subject=one.fingerprint or None, sentence=said,
            command=command or f"dlq list --kind {_word(one.kind)}",
        )  # fmt: skip
    left = total - sum(one.count for one in groups[: most - 2])
    if left > 0:
        yield Alert(code="dead", is_bad=False, sentence=f"{left:,} more are dead.", command="dlq groups")


def _paused(connection: Executor, most: int) -> Iterator[Alert]:
    now = ledger_moment(connection)
    for what in ("queue", "kind"):
        for one in _most(list(queues.pauses(connection, what).values()), most):
            until = f" until {one.paused_until:%Y-%m-%d %H:%M} UTC" if one.paused_until else ""
            why = f": {one.pause_reason}" if one.pause_reason else "."
            said = f"The {what} {one.name} has been paused by {one.paused_by or 'somebody'} for "
            said += f"{_span((now - one.paused_at).total_seconds())}{until}{why}"
            command = f"{what}s resume {_word(one.name)}"
            yield Alert(code="paused", is_bad=False, subject=one.name, sentence=said, command=command)


def _most(found: list[T], most: int) -> list[T]:
    return found[:most]


def _runs(number: int) -> str:
    return "run is" if number == 1 else "runs are"


def _word(text: str) -> str:
    """A name, quoted for a shell."""
    return shlex.quote(text)


def _span(seconds: float) -> str:
    return format_duration(timedelta(seconds=max(0, round(seconds))))
