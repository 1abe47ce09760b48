"""Process: the threads of one worker process, how they are connected, started and stopped."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.alerting.serving import with_alerts
from jobs.alerting.watch import AlertWatch
from jobs.app import App
from jobs.database.own_connection import FOR_SETTLING
from jobs.definition import registry
from jobs.definition.checks import is_async
from jobs.definition.class_release import codes, codes_and_timeouts
from jobs.definition.published import published_kinds
from jobs.errors import JobsError
from jobs.formats.installed import installed_version
from jobs.ledger import workers
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.records import Claim
from jobs.ledger.releases import record_release
from jobs.upkeep.loop import Upkeep
from worker.attempt.attempt import Attempts
from worker.children.child_pool import Children, performs_alone
from worker.children.child_spawner import ChildSpawner, InterpreterSpawner
from worker.dramatiq.middleware_hooks import MiddlewareHooks, brokers_of
from worker.exchange.fetcher import Fetcher
from worker.exchange.heartbeat import Heartbeat
from worker.exchange.held_leases import HeldLeases
from worker.exchange.prefetch import PrefetchLimit
from worker.exchange.queue_turns import turns_of
from worker.exchange.settler import Settler
from worker.exchange.unacknowledged_claims import UnacknowledgedClaims
from worker.process.actor import Actors
from worker.process.choose_source import choose_source
from worker.process.coroutines import Coroutines
from worker.process.pool import Pool
from worker.process.recycle import Recycling
from worker.process.start_log import StartLog
from worker.process.thread_broker import ThreadBroker
from worker.process.watchdog import Watchdog
from worker.protocol.health import ProcessHealth
from worker.protocol.process_identity import identity_of
from worker.protocol.running_table import RunningRows
from worker.timeouts.deadline import Deadlines

log = logging.getLogger("jobs.worker")

POLL_SECONDS = 0.2
LEAVING_POLL_SECONDS = 0.02
DRAIN_SECONDS = 600.0
"""How long a process that is being replaced may finish its runs. Source: the default time limit of a job."""
SETTLE_SECONDS = 5.0
"""How long the settler may take at the end, beyond the shutdown time."""
CLAIM_SECONDS = 2.0
"""How long a claim that is under way at the stop may take, before and after the runs that are performed end."""


class Process:
    """The threads of a worker process, and how they start and stop."""

    def __init__(
        self,
        app: App,
        name: str,
        running_rows: RunningRows,
        *,
        queues: Sequence[str] = (),
        spawner: ChildSpawner | None = None,
    ) -> None:
        self.app = app
        self.name = name
        self.failed = threading.Event()
        self.stop_asked = threading.Event()
        self._roll_asked: datetime | None = None
        self.stopping = threading.Event()
        settings = app.settings
        queues, self._serves_alerts = with_alerts(app, queues or settings.queues)
        self.kinds = registry.names()
        self._turns = turns_of(queues, kinds=self.kinds)
        self.queues = list(self._turns.names)
        self._held_leases = HeldLeases()
        prefetch_limit = PrefetchLimit(settings.threads, app.clock)
        # Jobs use the database of the application's App; the worker's threads have connections of their own, which
        # jobs cannot exhaust.
        self.own = replace(app, database=app.database.reserved())
        self._upkeep = Upkeep(self.own)
        self._upkeep.add("alerts", AlertWatch(self.own, on_routes=self._found_alert_routes).turn)
        self._health = ProcessHealth(app.clock, app.events)
        self._source = choose_source(self.own, self._turns, self._upkeep, kinds=self.kinds, worker=name)
        self._settler = Settler(
            self.own,
            self._held_leases,
            prefetch_limit,
            running_rows,
            worker=name,
            own=self.own.database.own_connection(without=FOR_SETTLING),
        )
        self._attempts = Attempts(app, worker=name)
        self._attempts.log_keeper.start()
        self._deadlines = Deadlines()
        self.recycling = Recycling(app)
        self._children = Children(
            app,
            self._attempts,
            spawner or InterpreterSpawner(settings.imports),
            worker=name,
            stopping=self.stopping,
            max_idle=settings.threads,
        )
        self._coroutines = Coroutines(
            app,
            self._attempts,
            self._settler,
            running_rows,
            capacity=settings.async_concurrency,
            worker=name,
            stopping=self.stopping,
            on_room=lambda: self._fetcher.want(),
            on_stuck=lambda blocks: self.recycling.out("a coroutine did not end at its hard limit"),
        )
        lane_kinds = [kind for kind in self.kinds if is_async(registry.get(kind))]
        self._fetcher = Fetcher(
            app,
            self._source,
            self._settler,
            self._held_leases,
            prefetch_limit,
            threads=settings.threads,
            kinds=self.kinds,
            lane=self._coroutines if lane_kinds else None,
            lane_kinds=lane_kinds,
            takes_thread=performs_alone,
            not_now=self._attempts.preparations.failing,
            on_doubt=UnacknowledgedClaims(self.own, self._held_leases, worker=name).release,
        )
        self._actors = Actors(
            app,
            self._fetcher,
            running_rows,
            self._deadlines,
            self._attempts,
            self._children,
            worker=name,
            stopping=self.stopping,
            on_stuck=self._replace_thread,
            on_interrupted=self.recycling.interrupted,
        )
        self._heartbeat = Heartbeat(
            self.own, self._held_leases, worker=name, performing=self.performing, cancel=self.cancel, lose=self.cancel
        )
        self._fetcher.on_turn = self._health.turned
        self._fetcher.on_claim = self._heartbeat.on_renewed = self._health.answered
        self._heartbeat.what_fails = self._health.repeated
        self._heartbeat.on_stop_asked = self.stop_asked.set
        self._heartbeat.on_roll_asked = self._record_roll
        self._start_log = StartLog(app, self._fetcher.buffer.performing)
        self._settler.on_failure = self._fetcher.on_failure = lambda error: self.failed.set()
        self._hooks = MiddlewareHooks(brokers_of(app))
        self._broker = ThreadBroker(app, middleware=[self._hooks] if self._hooks.brokers else [])
        self._broker.fetcher = self._fetcher
        self._pool = Pool(self._broker, self._fetcher, queues=self.queues, threads=settings.threads)
        self._watchdog = self._make_watchdog()
        self.is_started = False

    @property
    def busy(self) -> int:
        """How many runs threads and coroutines perform now."""
        return self._fetcher.buffer.busy + len(self._coroutines)

    def health(self) -> dict[str, Any]:
        """The state of this process for the supervisor's health page."""
        return {"busy": self.busy, "held": len(self._held_leases), **self._health.report()}

    def fault(self) -> str | None:
        """What is wrong with the threads; None if nothing is."""
        return self._watchdog.fault()

    def look_for_long_runs(self) -> None:
        """Log the start of runs that have run for a while."""
        self._start_log.look()

    def performing(self) -> list[Claim]:
        """The claims that this process performs now."""
        return self._actors.performing() + self._coroutines.performing()

    def cancel(self, token: UUID) -> None:
        """Interrupt the job of this attempt, if this process performs it."""
        self._actors.cancel(token)
        self._coroutines.cancel(token)

    def start(self) -> None:
        """Register the worker in the ledger and start every thread, which begins to claim runs.

        Raises:
            ServiceDown: the ledger does not answer; nothing was started, and it may be tried again.
        """
        with self.own.database.write(urgent=True) as connection:
            workers.register(
                connection, self.name, host=platform.node(), pid=os.getpid(), version=installed_version(),
                queues=self.queues, kinds=self.kinds, codes=codes(), threads=self.app.settings.threads,
                chaos=self.app.settings.chaos, process=identity_of(),
            )  # fmt: skip
            record_release(connection, self.name, release=self.app.settings.release, kinds=codes_and_timeouts())
            publish_kinds(connection, published_kinds(self.app.settings.max_argument_bytes))
        for queue in self.queues:
            self._broker.declare_queue(queue)
        self._actors.declare(self._broker)
        for thread in (self._settler, self._heartbeat, self._upkeep):
            thread.start()
        self._hooks.boot()
        self._pool.start()
        self._fetcher.start()
        self.is_started = True

    def stop(self, seconds: float) -> None:
        """Claim no more runs, finish the current ones within ``seconds``, settle, and give back the rest."""
        if not self.is_started:
            return
        clock = self.app.clock
        until = clock.monotonic() + seconds
        self.stopping.set()
        self.stop_claiming()
        while self.busy and clock.monotonic() < until and not self.failed.is_set():
            clock.sleep(0.02)
        self.finish()

    def roll_asked(self) -> datetime | None:
        """When an operator asked for a rolling restart. Returned once per heartbeat, since a message may be lost."""
        asked, self._roll_asked = self._roll_asked, None
        return asked

    def _record_roll(self, moment: datetime) -> None:
        self._roll_asked = moment

    def stop_claiming(self) -> None:
        """Claim no more runs, and give back those that no thread has started."""
        self._fetcher.stop_claiming()
        self._pool.stop_handing_over()
        self._hooks.shut_down(self._pool)
        self._fetcher.join(CLAIM_SECONDS)
        self._fetcher.give_back_all()

    def finish(self) -> None:
        """Release the runs that are still performed, settle, end every thread that does not hang, and sign off."""
        self._attempts.log_keeper.stop()
        self._fetcher.abandon_busy()
        self._coroutines.release_all()
        self._pool.stop()
        # A claim that was slower than that may have come since.
        self._fetcher.join(CLAIM_SECONDS)
        self._fetcher.give_back_all()
        self._settler.stop(SETTLE_SECONDS)
        self._coroutines.close()
        self._children.close()
        self._upkeep.stop()
        self._heartbeat.stop()
        self._deadlines.stop()
        try:
            self._source.close()
            with self.own.database.write(urgent=True) as connection:
                workers.sign_off(connection, self.name)
        except JobsError as error:
            log.warning("Worker could not sign off", extra={"reason": str(error)})

    def _found_alert_routes(self) -> None:
        if not self._serves_alerts:
            self.recycling.ask("alerts have receivers now, and it does not serve their queue")

    def _replace_thread(self, stuck: threading.Thread) -> None:
        """Replace a thread that hangs in a job whose attempt has ended, and ask for a new process."""
        self._pool.replace(stuck)
        self.recycling.out("a job did not end at its hard limit")

    def _make_watchdog(self) -> Watchdog:
        settings = self.app.settings
        ours = (self._settler, self._heartbeat, self._upkeep, self._fetcher)
        longest = max(settings.lease, 2 * settings.statement_timeout + settings.connect_timeout)
        watchdog = Watchdog(
            self.app.clock,
            lambda: [*ours, *self._pool.threads()],
            limit_seconds=longest.total_seconds() + 10,
        )
        watchdog.watch("heartbeat", lambda: self._heartbeat.turned_at)
        watchdog.watch("settler", lambda: self._settler.busy_since)
        watchdog.watch("fetcher", lambda: self._fetcher.turned_at)
        return watchdog
