"""Main loop of a worker process: executes the supervisor's commands, from the assignment to the exit code."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from jobs import boot
from jobs.errors import ServiceDown
from jobs.events import ServiceFailed
from jobs.observe import watch
from jobs.observe.log import configure_logging
from jobs.settings import Settings
from worker.children.child_spawner import ZygoteSpawner
from worker.process.collection_threshold import raise_collection_threshold
from worker.process.dead_process_cleanup import DeadProcessCleanup
from worker.process.process import Process
from worker.process.switch_interval import shorten_switch_interval
from worker.protocol.assignment import Assignment, DeadProcess
from worker.protocol.control import Control
from worker.startup.statement_warmup import warmed_up

log = logging.getLogger("jobs.worker")

POLL_SECONDS = 0.2
IDLE_POLL_SECONDS = 1.0
"""How often an idle process checks its own state. The supervisor's commands are read at once."""
LEAVING_POLL_SECONDS = 0.02
DRAIN_SECONDS = 600.0
"""How long a process that is being replaced may finish its runs. Source: the default time limit of a job."""


def serve(assignment: Assignment) -> int:
    """Perform runs until the supervisor stops the process. Returns 0 after a stop, 1 when a worker thread failed."""
    settings = Settings.model_validate_json(assignment.settings)
    configure_logging(settings)
    shorten_switch_interval()
    raise_collection_threshold()
    app = boot.configure(boot.build(settings, database=warmed_up(settings)))
    folder = assignment.metrics_folder
    close = watch(app, metrics_folder=Path(folder) if folder else None)
    spawner = ZygoteSpawner(assignment.spawner) if assignment.spawner is not None else None
    process = Process(app, assignment.name, assignment.running_rows, spawner=spawner)
    try:
        return MainLoop(process, Control(assignment.control), assignment.dead_processes).serve()
    finally:
        close()


class MainLoop:
    """The main loop of one process."""

    def __init__(self, process: Process, control: Control, dead_processes: Sequence[DeadProcess] = ()) -> None:
        self._process = process
        self._app = process.own
        self._control = control
        self._cleanup = DeadProcessCleanup(process.own, dead_processes)
        self._sign_on_at = 0.0

    def serve(self) -> int:
        """Execute commands until the supervisor stops the process."""
        process, control = self._process, self._control
        while not control.closed:
            self._clean_up()
            if not process.is_started and self._try_to_start():
                control.send(say="ready")
            process.look_for_long_runs()
            if (asked := process.roll_asked()) is not None:
                control.send(say="roll", asked=asked.isoformat())
            is_idle = process.is_started and not process.busy and not self._cleanup
            seconds = self._execute_commands(IDLE_POLL_SECONDS if is_idle else POLL_SECONDS)
            if seconds is None and process.stop_asked.is_set():
                log.info("Process drains at an operator's request")
                control.send(say="draining", why="an operator asked for it")
                seconds = self._app.settings.shutdown.total_seconds()
            wrong = process.fault() if process.is_started else None
            if wrong is not None:
                log.critical("Worker is stuck, the process exits to be replaced", extra={"reason": wrong})
                return 1
            if process.failed.is_set():
                log.critical("Worker thread failed, the process exits to be replaced")
                return 1
            if seconds is not None and not process.is_started:
                return 0
            if seconds is not None:
                return self._leave(seconds)
            if process.recycling.is_out:
                control.send(say="draining", why=process.recycling.why)
                return self._leave(DRAIN_SECONDS)
            why = process.recycling.needs_replacement()
            if why is not None:
                control.send(say="replace", why=why)
        return 1

    def _execute_commands(self, wait_seconds: float) -> float | None:
        """Execute the supervisor's commands. Returns the seconds that are left to stop, if one of them is to stop."""
        process, control = self._process, self._control
        leave: float | None = None
        for message in control.receive(wait_seconds):
            match message.get("do"):
                case "ping":
                    control.send(say="pong", **process.health())
                case "stop":
                    process.stopping.set()
                    leave = float(message.get("seconds", 0))
                case "stop_now":
                    process.stopping.set()
                    leave = 0.0
                case "drain":
                    leave = DRAIN_SECONDS if leave is None else leave
                case "clean_up":
                    for one in message["dead_processes"]:
                        self._cleanup.add(DeadProcess.from_message(one))
        return leave

    def _leave(self, seconds: float) -> int:
        """Finish the current runs within ``seconds``, or sooner if the supervisor shortens that."""
        process, control, clock = self._process, self._control, self._app.clock
        until = clock.monotonic() + seconds
        process.stop_claiming()
        while process.busy and clock.monotonic() < until and not process.failed.is_set() and not control.closed:
            self._clean_up()
            sooner = self._execute_commands(LEAVING_POLL_SECONDS)
            if sooner is not None:
                until = min(until, clock.monotonic() + sooner)
        if clock.monotonic() < until:
            self._clean_up(is_last=True)
        process.finish()
        return 0

    def _try_to_start(self) -> bool:
        """Try to start; returns whether it did. If the ledger is down, the next try waits, with jitter, as many
        processes may do the same."""
        clock = self._app.clock
        if clock.monotonic() < self._sign_on_at:
            return False
        try:
            self._process.start()
        except ServiceDown as error:
            self._app.events.emit([ServiceFailed("ledger", "sign_on", str(error))])
            self._sign_on_at = clock.monotonic() + 0.25 + 0.5 * clock.rng.random()
            return False
        return True

    def _clean_up(self, *, is_last: bool = False) -> None:
        for name in self._cleanup.turn(is_last=is_last):
            self._control.send(say="cleaned_up", name=name)
