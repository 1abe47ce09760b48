"""Stands in for ``worker.process.process``: acts as its settings say, and records what happens to it.

Settings: ``log`` (a file of JSON lines), ``perform`` and ``ended`` (run ids to mark), ``finish`` (seconds
from ``stop`` to the exit), ``crash`` (a status: leave at once; so does an app of VERSION ``crash``),
``deaf`` (never answer a ping), ``clean_up`` (false: never report a cleanup), ``drain`` (a file: say draining once it
exists, which one process does), ``leave`` (a file: leave, if draining, once it exists), ``roll`` (a file: say, once it
exists, that an operator asked for a rolling restart), ``slow`` (seconds before ready).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any
from uuid import UUID

from worker.protocol.assignment import Assignment, DeadProcess
from worker.protocol.control import Control


def serve(assignment: Assignment) -> int:
    return _StandIn(assignment).serve()


class _StandIn:
    def __init__(self, assignment: Assignment) -> None:
        self.given = assignment
        self.does: dict[str, Any] = json.loads(assignment.settings)
        self.control = Control(assignment.control)

    def serve(self) -> int:
        self.note("forked", parent=os.getppid(), modules=_modules(self.given))
        self.clean_up(self.given.dead_processes, how="assignment")
        if "crash" in self.does or "app=crash" in _modules(self.given):
            return int(self.does.get("crash", 3))
        for run in self.does.get("perform", []):
            self.given.running_rows.start(UUID(run))
        for run in self.does.get("ended", []):
            self.given.running_rows.ended(self.given.running_rows.start(UUID(run)))
        self.given.running_rows.clear(
            self.given.running_rows.start(UUID(int=1))
        )  # Settled, so it must not be reported as performing.
        time.sleep(self.does.get("slow", 0))
        at = time.monotonic()  # Write before sending, since the supervisor may answer before this is written.
        self.control.send(say="ready")
        self.note("ready", at=at)
        return self.obey()

    def obey(self) -> int:
        leave_at, drained = float("inf"), False
        while time.monotonic() < leave_at:
            drain = self.does.get("drain")
            if drain and not drained and os.path.exists(drain):
                os.unlink(drain)
                drained = True
                self.control.send(say="draining", why="asked by the test")
                self.note("draining")
            if drained and os.path.exists(self.does["leave"]):
                leave_at = 0.0
            roll = self.does.get("roll")
            if roll and os.path.exists(roll):
                # Repeat at each heartbeat.
                self.control.send(say="roll", asked="2026-11-25T03:00:00+00:00")
            for told in self.control.receive(0.05):
                match told["do"]:
                    case "ping" if not self.does.get("deaf"):
                        self.control.send(say="pong", settled=7)
                    case "stop":
                        self.note("stop", seconds=told["seconds"])
                        leave_at = time.monotonic() + self.does.get("finish", 0)
                    case "stop_now":
                        self.note("stop_now")
                        leave_at = 0.0
                    case "clean_up":
                        self.clean_up(
                            tuple(DeadProcess.from_message(one) for one in told["dead_processes"]), how="told"
                        )
            if self.control.closed:
                self.note("supervisor gone")
                os.kill(os.getpid(), signal.SIGKILL)
        self.note("left")
        return 0

    def clean_up(self, dead_processes: tuple[DeadProcess, ...], *, how: str) -> None:
        for dead_process in dead_processes:
            self.note("clean_up", dead_process=dead_process.as_message(), how=how)
            if self.does.get("clean_up", True):
                self.control.send(say="cleaned_up", name=dead_process.name)

    def note(self, what: str, **more: object) -> None:
        line = {
            "what": what,
            "name": self.given.name,
            "pid": os.getpid(),
            "generation": self.given.generation,
            "at": time.monotonic(),
            **more,
        }
        with open(self.does["log"], "ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")


def _modules(given: Assignment) -> list[str]:
    return [f"{name}={getattr(sys.modules[name], 'VERSION', None)}" for name in given.imports]
