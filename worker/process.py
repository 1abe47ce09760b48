"""Process: one worker process, from its assignment to its exit code."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import UUID

from dramatiq.worker import Worker

from jobs import boot, registry
from jobs.announce import announce
from jobs.app import App
from jobs.dramatiq import LedgerBroker
from jobs.ended import ended_events
from jobs.errors import JobsError, ServiceDown
from jobs.events import ServiceFailed
from jobs.job import is_async
from jobs.ledger import workers
from jobs.ledger.sweep import end_orphans
from jobs.observe import watch
from jobs.observe.log import configure_logging
from jobs.ready.protocol import ReadyEntry
from jobs.settings import Settings
from jobs.states import RunState
from jobs.upkeep.loop import Upkeep
from worker.actor import Actors
from worker.assignment import Assignment, Orphan
from worker.attempt import Attempts
from worker.children import Children, performs_alone
from worker.control import Control
from worker.coroutines import Coroutines
from worker.deadline import Deadlines
from worker.health import Pulse
from worker.heartbeat import Heartbeat
from worker.holdings import Holdings
from worker.intake import Intake
from worker.marks import Marks
from worker.nursery import Nursery, SpawnNursery, ZygoteNursery
from worker.pace import Pace
from worker.ready_source import ReadySource
from worker.settler import Settler
from worker.source import Bell, LedgerSource, ListeningBell, PollingBell, Source, SqliteBell
from worker.starts import Starts
from worker.watchdog import Watchdog
from worker.wear import Wear

log = logging.getLogger("jobs.worker")

LOOK_SECONDS = 0.2
LEAVING_LOOK_SECONDS = 0.02
DRAIN_SECONDS = 600.0
"""How long a process that is replaced may finish what it has. Source: the default time limit of a job."""
SETTLE_SECONDS = 5.0
"""What the settler may take at the end, beyond the shutdown limit."""


def serve(assignment: Assignment) -> int:
    """Perform runs until the supervisor says stop. 0 after a stop; 1 when a thread of ours failed."""
    settings = Settings.model_validate_json(assignment.settings)
    configure_logging(settings)
    app = boot.configure(boot.build(settings))
    folder = assignment.metrics_folder
    close = watch(app, metrics_folder=Path(folder) if folder else None)
    nursery = ZygoteNursery(assignment.nursery) if assignment.nursery is not None else None
    process = Process(app, assignment.name, assignment.marks, nursery=nursery)
    try:
        return process.serve(Control(assignment.control), assignment.orphans)
    finally:
        close()


class Process:
    """The threads of a worker process, and how they start and stop."""

    def __init__(
        self, app: App, name: str, marks: Marks, *, queues: Sequence[str] = (), nursery: Nursery | None = None
    ) -> None:
        self.app = app
        self.name = name
        self.failed = threading.Event()
        self.stop_asked = threading.Event()
        self._roll_asked: datetime | None = None
        self._stopping = threading.Event()
        settings = app.settings
        self.kinds = registry.names()
        self.queues = list(queues or settings.queues or _queues_of(self.kinds))
        self._holdings = Holdings()
        pace = Pace(settings.threads, app.clock)
        self._upkeep = Upkeep(app)
        self._pulse = Pulse(app.clock, app.events)
        self._source = self._make_source()
        self._settler = Settler(app, self._holdings, pace, marks, worker=name)
        self._attempts = Attempts(app)
        self._deadlines = Deadlines()
        self._wear = Wear(app)
        self._children = Children(
            app,
            self._attempts,
            nursery or SpawnNursery(settings.imports),
            worker=name,
            stopping=self._stopping,
            max_idle=settings.threads,
        )
        self._coroutines = Coroutines(
            app,
            self._attempts,
            self._settler,
            marks,
            capacity=settings.async_concurrency,
            worker=name,
            stopping=self._stopping,
            on_room=lambda: self._intake.want(),
            on_stuck=lambda blocks: self._wear.out("a coroutine did not end at its hard limit"),
        )
        lane_kinds = [kind for kind in self.kinds if is_async(registry.get(kind))]
        self._intake = Intake(
            app,
            self._source,
            self._settler,
            self._holdings,
            pace,
            threads=settings.threads,
            kinds=self.kinds,
            lane=self._coroutines if lane_kinds else None,
            lane_kinds=lane_kinds,
            takes_thread=performs_alone,
            not_now=self._attempts.preparations.failing,
        )
        self._actors = Actors(
            app,
            self._intake,
            marks,
            self._deadlines,
            self._attempts,
            self._children,
            worker=name,
            stopping=self._stopping,
            on_stuck=self._replace_thread,
            on_interrupted=self._wear.interrupted,
        )
        self._heartbeat = Heartbeat(
            app, self._holdings, worker=name, performing=self.performing, cancel=self.cancel, lose=self.cancel
        )
        self._intake.on_turn = self._pulse.turned
        self._intake.on_claim = self._heartbeat.on_renewed = self._pulse.answered
        self._heartbeat.on_stop_asked = self.stop_asked.set
        self._heartbeat.on_roll_asked = self._ask_for_roll
        self._starts = Starts(app, self._intake.performing)
        self._settler.on_failure = self._intake.on_failure = lambda error: self.failed.set()
        self._broker = LedgerBroker(app)
        self._broker.intake = self._intake
        self._worker = Worker(self._broker, queues=set(self.queues), worker_threads=settings.threads)
        self._watchdog = self._make_watchdog()
        self._sign_on_at = 0.0
        self._is_started = False

    @property
    def busy(self) -> int:
        """Runs that threads and coroutines perform just now."""
        return self._intake.busy + len(self._coroutines)

    def performing(self) -> list[UUID]:
        """The runs that are performed here just now."""
        return self._actors.performing() + self._coroutines.performing()

    def cancel(self, run_id: UUID) -> None:
        """Interrupt the job of this run, if it is performed here."""
        self._actors.cancel(run_id)
        self._coroutines.cancel(run_id)

    def start(self) -> None:
        """Sign on and start every thread; from then on runs are claimed.

        Raises:
            ServiceDown: the ledger does not answer; nothing was started, and it may be tried again.
        """
        with self.app.database.write(urgent=True) as connection:
            workers.register(
                connection,
                self.name,
                host=platform.node(),
                pid=os.getpid(),
                version=_version(),
                queues=self.queues,
                kinds=self.kinds,
                threads=self.app.settings.threads,
            )
        for queue in self.queues:
            self._broker.declare_queue(queue)
        self._actors.declare(self._broker)
        for thread in (self._settler, self._heartbeat, self._upkeep):
            thread.start()
        self._worker.start()
        self._intake.start()
        self._is_started = True

    def stop(self, seconds: float) -> None:
        """Claim nothing more; finish what is performed within ``seconds``; settle; give back the rest."""
        if not self._is_started:
            return
        clock = self.app.clock
        until = clock.monotonic() + seconds
        self._stopping.set()
        self._stop_claiming()
        while self.busy and clock.monotonic() < until and not self.failed.is_set():
            clock.sleep(0.02)
        self._finish()

    def bury(self, orphans: Sequence[Orphan]) -> list[str]:
        """End the attempts of dead processes; the names of those whose end is committed."""
        buried = []
        for orphan in orphans:
            try:
                while self._bury_some(orphan):
                    pass
                buried.append(orphan.name)
            except JobsError as error:
                log.warning("Could not end what a dead process held.", extra={"reason": str(error)})
        return buried

    def serve(self, control: Control, orphans: Sequence[Orphan] = ()) -> int:
        """Obey the supervisor until it says stop."""
        waiting = list(orphans)
        while not control.closed:
            self._bury_and_say(control, waiting)
            if not self._is_started and self._try_to_start():
                control.send(say="ready")
            self._starts.look()
            if self._roll_asked is not None:
                control.send(say="roll", asked=self._roll_asked.isoformat())
                self._roll_asked = None
            seconds = self._hear(control, waiting, LOOK_SECONDS)
            if seconds is None and self.stop_asked.is_set():
                log.info("An operator asked this process to stop: it finishes what it has.")
                control.send(say="draining", why="an operator asked for it")
                seconds = self.app.settings.shutdown.total_seconds()
            wrong = self._watchdog.fault() if self._is_started else None
            if wrong is not None:
                log.critical("The worker is stuck: the process ends, to be replaced.", extra={"reason": wrong})
                return 1
            if self.failed.is_set():
                log.critical("A thread of the worker failed: the process ends, to be replaced.")
                return 1
            if seconds is not None and not self._is_started:
                return 0
            if seconds is not None:
                return self._leave(control, waiting, seconds)
            if self._wear.is_out:
                control.send(say="draining", why=self._wear.why)
                return self._leave(control, waiting, DRAIN_SECONDS)
            why = self._wear.wants_replacement()
            if why is not None:
                control.send(say="replace", why=why)
        return 1

    def _hear(self, control: Control, waiting: list[Orphan], wait_seconds: float) -> float | None:
        """Do what the supervisor says; if it says to leave, in how many seconds."""
        leave: float | None = None
        for message in control.receive(wait_seconds):
            match message.get("do"):
                case "ping":
                    control.send(say="pong", busy=self.busy, held=len(self._holdings), **self._pulse.report())
                case "stop":
                    self._stopping.set()
                    leave = float(message.get("seconds", 0))
                case "stop_now":
                    self._stopping.set()
                    leave = 0.0
                case "drain":
                    leave = DRAIN_SECONDS if leave is None else leave
                case "bury":
                    waiting += [Orphan.from_message(one) for one in message["orphans"]]
        return leave

    def _leave(self, control: Control, waiting: list[Orphan], seconds: float) -> int:
        """Finish what is performed within so many seconds, or fewer if the supervisor says so meanwhile."""
        clock = self.app.clock
        until = clock.monotonic() + seconds
        self._stop_claiming()
        while self.busy and clock.monotonic() < until and not self.failed.is_set() and not control.closed:
            self._bury_and_say(control, waiting)
            sooner = self._hear(control, waiting, LEAVING_LOOK_SECONDS)
            if sooner is not None:
                until = min(until, clock.monotonic() + sooner)
        self._finish()
        return 0

    def _ask_for_roll(self, moment: datetime) -> None:
        # Said at each heartbeat, for the supervisor to know it again: a word may be lost with its process.
        self._roll_asked = moment

    def _stop_claiming(self) -> None:
        self._intake.stop_claiming()
        self._intake.join(2)
        self._intake.give_back_all()

    def _finish(self) -> None:
        self._intake.abandon_busy()
        self._coroutines.release_all()
        self._settler.stop(SETTLE_SECONDS)
        self._coroutines.close()
        self._children.close()
        self._upkeep.stop()
        self._heartbeat.stop()
        try:
            self._source.close()
            with self.app.database.write(urgent=True) as connection:
                workers.sign_off(connection, self.name)
        except JobsError as error:
            log.warning("Could not sign off.", extra={"reason": str(error)})

    def _replace_thread(self, stuck: threading.Thread) -> None:
        """A thread hangs in a job whose attempt has ended: another takes its place, and the process is worn out."""
        threads = self._worker.workers
        if stuck in threads:
            threads.remove(stuck)
            stuck.running = False
            self._worker._add_worker()
        self._wear.out("a job did not end at its hard limit")

    def _try_to_start(self) -> bool:
        """Whether it has started now; a ledger that is down is asked again, at the pace of a crowd."""
        clock = self.app.clock
        if clock.monotonic() < self._sign_on_at:
            return False
        try:
            self.start()
        except ServiceDown as error:
            self.app.events.emit([ServiceFailed("ledger", "sign_on", str(error))])
            self._sign_on_at = clock.monotonic() + 0.25 + 0.5 * clock.rng.random()
            return False
        return True

    def _make_watchdog(self) -> Watchdog:
        settings = self.app.settings
        ours = (self._settler, self._heartbeat, self._upkeep, self._intake)
        longest = max(settings.lease, 2 * settings.statement_timeout + settings.connect_timeout)
        watchdog = Watchdog(
            self.app.clock,
            lambda: [*ours, *self._worker.workers, *self._worker.consumers.values()],
            limit_seconds=longest.total_seconds() + 10,
        )
        watchdog.watch("heartbeat", lambda: self._heartbeat.turned_at)
        watchdog.watch("settler", lambda: self._settler.busy_since)
        watchdog.watch("intake", lambda: self._intake.turned_at)
        return watchdog

    def _bury_and_say(self, control: Control, waiting: list[Orphan]) -> None:
        for name in self.bury(waiting):
            waiting[:] = [one for one in waiting if one.name != name]
            control.send(say="buried", name=name)

    def _bury_some(self, orphan: Orphan) -> bool:
        with self.app.database.write(urgent=True) as connection:
            settled, freed = end_orphans(
                connection,
                orphan.name,
                performing=orphan.performing,
                ended=orphan.ended,
                why=orphan.cause,
                blame=orphan.blame,
                over=orphan.over,
                poison_after=self.app.settings.poison_after,
            )
            workers.sign_off(connection, orphan.name)
        back = [one for one in settled if one.state is RunState.QUEUED]
        entries = [ReadyEntry(one.run_id, one.queue, one.priority, one.retry_at) for one in back]
        freed += [after for one in settled for after in one.followed_by]
        announce(self.app, entries + [ReadyEntry(one.run_id, one.queue, one.priority, one.run_at) for one in freed])
        self.app.events.emit(
            ended_events(settled, error_type="ProcessDied", why=f"its worker process died: {orphan.cause}")
        )
        if settled or freed:
            log.warning(
                "Ended what a dead process held.",
                extra={"worker": orphan.name, "cause": orphan.cause, "ended": len(settled), "released": len(freed)},
            )
        return bool(settled or freed)

    def _make_source(self) -> Source:
        listener = self.app.database.listener()
        bell: Bell
        if self.app.database.dialect == "sqlite":
            bell = SqliteBell(self.app)
        else:
            bell = PollingBell(self.app) if listener is None else ListeningBell(self.app, listener)
        ledger = LedgerSource(self.app, queues=self.queues, kinds=self.kinds, worker=self.name, bell=bell)
        if self.app.ready is None:
            return ledger
        return ReadySource(
            self.app, self.app.ready, ledger, kinds=self.kinds, worker=self.name, on_loss=self._upkeep.hurry
        )


def _queues_of(kinds: Sequence[str]) -> list[str]:
    return sorted({registry.get(kind).options.queue for kind in kinds}) or ["default"]


def _version() -> str:
    try:
        return version("jobledger")
    except PackageNotFoundError:
        return "source"
