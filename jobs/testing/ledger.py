"""A ledger for a test: performs its runs on demand; the test advances its clock."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from jobs import boot
from jobs.app import App
from jobs.client.job import Job
from jobs.clock import SystemClock
from jobs.database.sql import pinned_now
from jobs.definition import registry
from jobs.definition.equality import equal
from jobs.errors import Conflict, TimeLimitExceeded
from jobs.ledger.limits.admit import admit
from jobs.ledger.queries import find as finding
from jobs.ledger.queries import reports
from jobs.ledger.records import Claim
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs import claim as claiming
from jobs.ledger.runs import sweep
from jobs.ledger.runs.claim import due_candidates
from jobs.migration import schema
from jobs.sealing.run_seal import opened
from jobs.settings import Settings
from jobs.storage.packing import in_clear
from jobs.testing.attempts import WORKER, Crash, Performed, PlannedAttempts, RunCoroutine
from jobs.testing.template import template

MAX_PERFORMED = 10_000
"""Attempts after which ``drain`` gives up, because some job enqueues itself for ever. Source: decision."""

FOR_EVER: dict[str, Any] = {"worker": WORKER, "lease": timedelta(days=365)}
"""Of a claim: nobody renews the leases of a test."""


class TestClock(SystemClock):
    """The machine's clock (or freezegun's) plus the time that the test has advanced it by."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class Ledger:
    """A ledger for one test. Use it as a context manager: inside the block it is the ledger of the current App.

    Args:
        url: an existing ledger, which is migrated if necessary; None makes a SQLite file for this test.
        make_app: makes the App, with the clock that it gets, instead of ``url``: for a framework that has a database.
        run_coroutine: calls the ``perform`` of an async job to its end; None: on an event loop of its own.
        settings: as for ``jobs.configure``. The environment and its ``.env`` are ignored: other settings have their
            defaults, and there is no Redis.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        make_app: Callable[[TestClock], App] | None = None,
        run_coroutine: RunCoroutine | None = None,
        **settings: Any,
    ) -> None:
        self._stack = ExitStack()
        if url is None and make_app is None:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jobs-testing-"))
            url = f"sqlite:///{shutil.copy(template(), Path(folder) / 'jobs.db')}"
        self.clock = TestClock()
        self.app: App = (
            make_app(self.clock)
            if make_app is not None
            else boot.build(Settings.of(database_url=url, **settings), clock=self.clock)
        )
        self.stopping = threading.Event()
        self._attempts = PlannedAttempts(self.app, stopping=self.stopping, run_coroutine=run_coroutine)

    def __enter__(self) -> Self:
        self._stack.callback(self.app.close)
        self._stack.enter_context(pinned_now(self.clock.now))
        self._stack.enter_context(boot.used(self.app))
        if schema.current(self.app.database) != schema.REVISION:
            schema.upgrade(self.app.database)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def advance(self, span: timedelta) -> None:
        """Move the clock forward by this span: runs that become due in it are due from now on."""
        self.clock.ahead += span

    def perform(self, job: Job | UUID) -> Performed:
        """Make one attempt at a job (which is enqueued first) or at a run that is due. Limits and rates do not park it.

        Raises:
            Conflict: the run is not due, not waiting, or this process does not know its kind.
        """
        run_id = job.enqueue().id if isinstance(job, Job) else job
        with self.app.database.write() as connection:
            claims = claiming.claim(connection, [run_id], kinds=registry.names(), **FOR_EVER)
        if not claims:
            raise Conflict(
                f"Run {run_id} cannot be performed now.", hint="It is not due (advance the clock), or it has ended."
            )
        return self._attempts.make(claims[0])

    def drain(self, *, advance: timedelta = timedelta(0)) -> list[Performed]:
        """Perform every run that is due, and the runs that these enqueue, until none is left.

        Limits and rates apply as in a worker: a run that exceeds a rate is due on its slot, so advance the clock.

        Args:
            advance: move the clock forward by this span in total, each time to the next run that becomes due within it.

        Raises:
            Conflict: runs were still due after 10,000 attempts.
        """
        until = self.clock.now() + advance
        performed: list[Performed] = []
        while True:
            asked = self.clock.now()
            claims = self._claim_due()
            performed += [self._attempts.make(claim) for claim in claims]
            if len(performed) > MAX_PERFORMED:
                raise Conflict(f"Still not drained after {MAX_PERFORMED} attempts.", hint="Does a job enqueue itself?")
            if claims:
                continue
            # A run that became due after the claim looked counts as well: the clock goes on between the two.
            following = self._next_due(after=asked)
            if following is None or following > until:
                break
            self.advance(max(timedelta(0), following - self.clock.now()) + timedelta(microseconds=1))
        self.advance(max(timedelta(0), until - self.clock.now()) if advance else timedelta(0))
        self._expire()
        return performed

    def fail(self, kind: type[Job], error: BaseException | None = None, *, times: int = 1) -> None:
        """Make the next ``times`` attempts at this kind raise ``error`` instead of performing."""
        self._break(kind, lambda: error if error is not None else RuntimeError("failed on demand"), times)

    def time_out(self, kind: type[Job], *, times: int = 1, late: bool = False) -> None:
        """Make the next attempts at this kind exceed their time limit; with ``late``, after all their work."""
        self._break(kind, lambda: TimeLimitExceeded("timed out on demand"), times, late)

    def crash(self, kind: type[Job], *, times: int = 1, late: bool = False) -> None:
        """Let the process die in the next attempts at this kind; with ``late``, after the work, unrecorded."""
        self._break(kind, lambda: Crash("crashed on demand"), times, late)

    def runs(self, kind: type[Job] | None = None) -> list[RunRecord]:
        """The runs in the order in which they were enqueued; all, or those of one kind. At most 1,000."""
        with self.app.database.read() as connection:
            found = finding.list_runs(connection, kind=kind.options.kind if kind else None, limit=1000)
        return found[::-1]

    def assert_enqueued(
        self,
        kind: type[Job],
        *,
        key: str | None = None,
        queue: str | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
        **arguments: Any,
    ) -> RunRecord:
        """The one run of ``kind`` that has all these properties, in whatever state it is now.

        Args:
            at: when it is due, to the second.
            delay: the same, counted from now.

        Raises:
            AssertionError: there is none, or more than one; the message lists the runs of the kind.
        """
        if delay is not None:
            at = self.clock.now() + delay
        every = self.runs(kind)
        found = [run for run in every if _has(run, key=key, queue=queue, at=at, arguments=arguments)]
        if len(found) != 1:
            there = "\n  ".join(f"{run.arguments} key={run.key} queue={run.queue} at={run.run_at}" for run in every)
            raise AssertionError(
                f"{len(found)} runs of {kind.options.kind} are as asserted, not 1. Of {len(every)}:\n  {there}"
            )
        return found[0]

    def assert_not_enqueued(self, kind: type[Job]) -> None:
        """Assert that no run of ``kind`` was ever enqueued.

        Raises:
            AssertionError: at least one was.
        """
        every = self.runs(kind)
        if every:
            raise AssertionError(f"{len(every)} runs of {kind.options.kind} were enqueued.")

    def _claim_due(self) -> list[Claim]:
        """The next due run of the first queue that has one; None if no run is due."""
        self._expire()
        for queue in self._queues():
            has_more = True
            while has_more:
                with self.app.database.write() as connection:
                    claims = due_candidates(connection, [queue], count=1, kinds=registry.names(), **FOR_EVER)
                    admitted = admit(connection, claims, **FOR_EVER)
                if admitted.claims:
                    return admitted.claims
                has_more = admitted.parked > 0
        return []

    def _break(self, kind: type[Job], error: Callable[[], BaseException], times: int, late: bool = False) -> None:
        def plan(fn: Callable[[], Any]) -> Any:
            if late:
                fn()
            raise error()

        self._attempts.plan(kind, plan, times)

    def _expire(self) -> None:
        with self.app.database.write() as connection:
            sweep.expire(connection)

    def _queues(self) -> list[str]:
        with self.app.database.read() as connection:
            return [one.queue for one in reports.queue_counts(connection) if not one.is_paused]

    def _next_due(self, *, after: datetime) -> datetime | None:
        queues = self._queues()
        with self.app.database.read() as connection:
            moments = [claiming.next_due_at(connection, queue, now=after) for queue in queues]
        return min((moment for moment in moments if moment is not None), default=None)


def _has(run: RunRecord, *, key: str | None, queue: str | None, at: datetime | None, arguments: dict[str, Any]) -> bool:
    if key is not None and run.key != key:
        return False
    if queue is not None and run.queue != queue:
        return False
    if at is not None and abs(run.run_at - at) > timedelta(seconds=1):
        return False
    job = registry.get(run.kind).model_validate(
        opened(boot.current(), in_clear(boot.current(), run)).arguments, strict=False, by_name=True, by_alias=True
    )
    return all(equal(getattr(job, name, job), value) for name, value in arguments.items())
