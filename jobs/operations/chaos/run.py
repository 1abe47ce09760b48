"""Runs chaos: faults by a plan for a limited time, then a quiet end, then the proof."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import Conflict, JobsError, SelectorRefused
from jobs.ledger.chaos import effects, targets
from jobs.ledger.chaos.fleet import ChaosWorker
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import audit
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.chaos.faults import Faults, Processes
from jobs.operations.chaos.plan import Fault, PlannedFault
from jobs.operations.chaos.proof import Hits, Invariant, left_to_end, prove
from jobs.operations.chaos.target import AUDIT_TARGET, check_target, refuse_during_a_run, refuse_others

SHORTEST, LONGEST = timedelta(seconds=4), timedelta(hours=24)
"""Source: decision; the shortest leaves two seconds for faults."""
FOR_THE_PROOF = timedelta(seconds=5)
"""Time that is kept for the proof, at most a tenth of all."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Done:
    """What happened ``at`` seconds after the beginning. ``planned`` is the fault, None for a thaw."""

    at: float
    did: str
    is_made: bool = True
    planned: PlannedFault | None = None
    worker: str | None = None
    pid: int | None = None


@dataclass(slots=True)
class ChaosReport:
    """A run of chaos: what it did, why it ended early if it did, and the promises that held."""

    target: str
    action_id: UUID
    since: datetime
    done: list[Done] = field(default_factory=list)
    ended_early: str | None = None
    invariants: list[Invariant] = field(default_factory=list)
    took_seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return bool(self.invariants) and all(one.holds for one in self.invariants)


def possible_faults(app: App) -> tuple[Fault, ...]:
    """The faults that this ledger can have: without Redis no flush, on SQLite no cut."""
    can = {Fault.FLUSH: app.ready is not None, Fault.CUT: app.database.dialect == "postgresql"}
    return tuple(one for one in Fault if can.get(one, True))


class ChaosRun:
    """One run of chaos on a marked ledger.

    Args:
        plan: the faults, the earliest first.
        options: what the plan was made from, for the audit.
        on_done: called for every fault and thaw, at once.
    """

    def __init__(
        self,
        app: App,
        operator: Operator,
        processes: Processes,
        *,
        target: str,
        span: timedelta,
        plan: Sequence[PlannedFault],
        options: dict[str, Any],
        reason: str | None = None,
        on_done: Callable[[Done], None] = lambda done: None,
    ) -> None:
        self._app = app
        self._operator = operator
        self._host = processes.host
        self._faults = Faults(app, processes, target)
        self._target = target
        self._span = span
        self._plan = plan
        self._options = options
        self._reason = reason
        self._on_done = on_done
        self._began = app.clock.monotonic()

    def run(self) -> ChaosReport:
        """Make the faults, wait for the runs to end, and prove what must hold; at most for the span.

        Raises:
            Forbidden: the operator may not act on workers.
            SelectorRefused: the span is too short or too long, or a reason is required.
            Conflict: the ledger is not marked as this target, another run is under way, a live worker was not started
                for it, or none was on this host.
        """
        self._operator.need(Permission.WORKERS_WRITE)
        check_reason(self._app, self._reason)
        if not SHORTEST <= self._span <= LONGEST:
            raise SelectorRefused("A run of chaos takes from 4 seconds to 24 hours.", hint="Give --for 2m, say.")
        self._began = self._app.clock.monotonic()
        report = self._begin()
        state = "interrupted"
        try:
            try:
                self._make_faults(report)
            finally:
                self._faults.thaw_all()
            self._wait((self._span - min(FOR_THE_PROOF, self._span / 10)).total_seconds())
            hits = Hits(self._faults.hit, self._faults.cuts)
            left = self._span - timedelta(seconds=self._elapsed())
            database = self._app.database.apart(limit=max(left, timedelta(seconds=1)))
            report.invariants = prove(database, since=report.since, hits=hits)
            state = "finished"
        finally:
            report.took_seconds = round(self._elapsed(), 1)
            self._end(report, state)
        return report

    def _begin(self) -> ChaosReport:
        action = new_run_id()
        with self._app.database.write(urgent=True) as connection:
            mark = check_target(connection, self._target)
            refuse_during_a_run(mark)
            live = refuse_others(connection, self._target)
            if not live:
                raise Conflict(
                    f"No live worker was started for {self._target}.",
                    hint=f"Start some with JOBS_CHAOS={self._target}.",
                )
            if not any(one.host == self._host for one in live):
                raise Conflict(f"No live worker is on this host, {self._host}.", hint="Run chaos beside the workers.")
            if not targets.begin_run(connection, self._target, by=self._operator.name, span=self._span):
                ends = f"{mark.allowed_until:%Y-%m-%d %H:%M:%S} UTC"
                raise Conflict(
                    f"The mark of this ledger ends at {ends}, before this run would.",
                    hint="Give a shorter --for, or mark it again: jobledger chaos allow.",
                )
            effects.forget_effects(connection)
            audit.begin(
                connection, action, verb="chaos", actor=self._operator.name, target=f"{AUDIT_TARGET}{self._target}",
                options=self._options, reason=self._reason, expected=len(self._plan),
            )  # fmt: skip
            return ChaosReport(self._target, action, ledger_moment(connection))

    def _end(self, report: ChaosReport, state: str) -> None:
        after = {
            "holds": report.holds,
            "broken": [one.name for one in report.invariants if not one.holds],
            "ended_early": report.ended_early,
        }
        done = sum(one.is_made and one.planned is not None for one in report.done)
        with self._app.database.write(urgent=True) as connection:
            targets.end_run(connection, self._target)
            audit.finish(connection, report.action_id, state, after=after, done=done)

    def _make_faults(self, report: ChaosReport) -> None:
        thaws: list[tuple[float, str, ChaosWorker]] = []
        for planned in self._plan:
            self._thaw(report, thaws, before=planned.at)
            self._sleep_until(planned.at)
            try:
                made = self._faults.make(planned)
            except Conflict as error:
                report.ended_early = error.message
                return
            except JobsError as error:
                self._record(report, Done(self._elapsed(), error.message, is_made=False, planned=planned))
                continue
            worker = made.worker
            name, pid = (worker.name, worker.pid) if worker is not None else (None, None)
            self._record(report, Done(self._elapsed(), made.did, made.is_made, planned, name, pid))
            if worker is not None and planned.fault is Fault.STOP:
                insort(thaws, (planned.at + planned.stopped_seconds, worker.name, worker))
        self._thaw(report, thaws, before=self._span.total_seconds())

    def _thaw(self, report: ChaosReport, thaws: list[tuple[float, str, ChaosWorker]], *, before: float) -> None:
        while thaws and thaws[0][0] <= before:
            at, name, worker = thaws.pop(0)
            self._sleep_until(at)
            did = "thawed" if self._faults.thaw(worker) else "ended before its thaw"
            self._record(report, Done(self._elapsed(), did, worker=name, pid=worker.pid))

    def _wait(self, until: float) -> None:
        """Wait until no run is left that a worker performs or would perform, or until the time is over."""
        quiet = 0
        while quiet < 2 and self._elapsed() < until:
            self._app.clock.sleep(min(LOOK_SECONDS, until - self._elapsed()))
            with suppress(JobsError):
                quiet = 0 if left_to_end(self._app.database) else quiet + 1

    def _record(self, report: ChaosReport, done: Done) -> None:
        report.done.append(done)
        self._on_done(done)

    def _sleep_until(self, at: float) -> None:
        self._app.clock.sleep(max(0.0, at - self._elapsed()))

    def _elapsed(self) -> float:
        return self._app.clock.monotonic() - self._began
