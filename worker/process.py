"""Process: one worker process, from its assignment to its exit code."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dramatiq.worker import Worker

from jobs import boot, registry
from jobs.announce import announce
from jobs.app import App
from jobs.dramatiq import LedgerBroker
from jobs.ended import ended_events
from jobs.errors import JobsError
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
from worker.control import Control
from worker.deadline import Deadlines
from worker.health import Pulse
from worker.heartbeat import Heartbeat
from worker.holdings import Holdings
from worker.intake import Intake
from worker.marks import Marks
from worker.pace import Pace
from worker.ready_source import ReadySource
from worker.settler import Settler
from worker.source import LedgerSource, PollingBell, Source, SqliteBell
from worker.starts import Starts

log = logging.getLogger("jobs.worker")

LOOK_SECONDS = 0.2
SETTLE_SECONDS = 5.0
"""What the settler may take at the end, beyond the shutdown limit."""


def serve(assignment: Assignment) -> int:
    """Perform runs until the supervisor says stop. 0 after a stop; 1 when a thread of ours failed."""
    settings = Settings.model_validate_json(assignment.settings)
    configure_logging(settings)
    app = boot.configure(boot.build(settings))
    folder = assignment.metrics_folder
    close = watch(app, metrics_folder=Path(folder) if folder else None)
    process = Process(app, assignment.name, assignment.marks)
    try:
        return process.serve(Control(assignment.control), assignment.orphans)
    finally:
        close()


class Process:
    """The threads of a worker process, and how they start and stop."""

    def __init__(self, app: App, name: str, marks: Marks, *, queues: Sequence[str] = ()) -> None:
        self.app = app
        self.name = name
        self.failed = threading.Event()
        self.stop_asked = threading.Event()
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
        self._intake = Intake(app, self._source, self._settler, self._holdings, pace, threads=settings.threads)
        self._deadlines = Deadlines()
        self._actors = Actors(app, self._intake, marks, self._deadlines, worker=name, stopping=self._stopping)
        self._heartbeat = Heartbeat(
            app,
            self._holdings,
            worker=name,
            performing=self._actors.performing,
            cancel=self._actors.cancel,
            lose=self._actors.cancel,
        )
        self._intake.on_turn = self._pulse.turned
        self._intake.on_claim = self._heartbeat.on_renewed = self._pulse.answered
        self._heartbeat.on_stop_asked = self.stop_asked.set
        self._starts = Starts(app, self._intake.performing)
        self._settler.on_failure = self._intake.on_failure = lambda error: self.failed.set()
        self._broker = LedgerBroker(app)
        self._broker.intake = self._intake
        self._worker = Worker(self._broker, queues=set(self.queues), worker_threads=settings.threads)

    def start(self) -> None:
        """Sign on and start every thread; from then on runs are claimed."""
        for queue in self.queues:
            self._broker.declare_queue(queue)
        self._actors.declare(self._broker)
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
        for thread in (self._settler, self._heartbeat, self._upkeep):
            thread.start()
        self._worker.start()
        self._intake.start()

    def stop(self, seconds: float) -> None:
        """Claim nothing more; finish what is performed within ``seconds``; settle; give back the rest."""
        clock = self.app.clock
        until = clock.monotonic() + seconds
        self._stopping.set()
        self._intake.stop_claiming()
        self._intake.join(2)
        self._intake.give_back_all()
        while self._intake.busy and clock.monotonic() < until and not self.failed.is_set():
            clock.sleep(0.02)
        self._intake.abandon_busy()
        self._settler.stop(SETTLE_SECONDS)
        self._upkeep.stop()
        self._heartbeat.stop()
        try:
            self._source.close()
            with self.app.database.write(urgent=True) as connection:
                workers.sign_off(connection, self.name)
        except JobsError as error:
            log.warning("Could not sign off.", extra={"reason": str(error)})

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
        self._bury_and_say(control, waiting)
        self.start()
        control.send(say="ready")
        while not control.closed:
            self._bury_and_say(control, waiting)
            self._starts.look()
            for message in control.receive(LOOK_SECONDS):
                match message.get("do"):
                    case "ping":
                        control.send(
                            say="pong", busy=self._intake.busy, held=len(self._holdings), **self._pulse.report()
                        )
                    case "stop":
                        self.stop(float(message.get("seconds", 0)))
                        return 0
                    case "stop_now":
                        self.stop(0)
                        return 0
                    case "bury":
                        waiting += [Orphan.from_message(one) for one in message["orphans"]]
            if self.stop_asked.is_set():
                log.info("An operator asked this process to stop: it finishes what it has.")
                self.stop(self.app.settings.shutdown.total_seconds())
                return 0
            if self.failed.is_set():
                log.critical("A thread of the worker failed: the process ends, to be replaced.")
                return 1
        return 1

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
        bell = SqliteBell(self.app) if self.app.database.dialect == "sqlite" else PollingBell(self.app)
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
