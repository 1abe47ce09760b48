"""Stands in for ``worker.process``: does what its settings say, and writes down what happens to it.

Settings: ``log`` (a file of JSON lines), ``perform`` and ``ended`` (run ids to mark), ``finish`` (seconds
from ``stop`` to the exit), ``crash`` (a status: leave at once; so does an app of VERSION ``crash``),
``deaf`` (never answer a ping), ``bury`` (false: never say buried), ``drain`` (a file: say draining once it
exists), ``roll`` (a file: say, once it exists, that an operator asked for a rolling restart), ``slow``
(seconds before ready).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any
from uuid import UUID

from worker.assignment import Assignment, Orphan
from worker.control import Control


def serve(assignment: Assignment) -> int:
    return _StandIn(assignment).serve()


class _StandIn:
    def __init__(self, assignment: Assignment) -> None:
        self.given = assignment
        self.does: dict[str, Any] = json.loads(assignment.settings)
        self.control = Control(assignment.control)

    def serve(self) -> int:
        self.note("born", parent=os.getppid(), modules=_modules(self.given))
        self.bury(self.given.orphans, how="assignment")
        if "crash" in self.does or "app=crash" in _modules(self.given):
            return int(self.does.get("crash", 3))
        for run in self.does.get("perform", []):
            self.given.marks.start(UUID(run))
        for run in self.does.get("ended", []):
            self.given.marks.ended(self.given.marks.start(UUID(run)))
        self.given.marks.clear(self.given.marks.start(UUID(int=1)))  # Settled: nobody may hear of it.
        time.sleep(self.does.get("slow", 0))
        at = time.monotonic()  # Before it is said: the supervisor may answer before this is written down.
        self.control.send(say="ready")
        self.note("ready", at=at)
        return self.obey()

    def obey(self) -> int:
        leave_at, drained = float("inf"), False
        while time.monotonic() < leave_at:
            drain = self.does.get("drain")
            if drain and not drained and os.path.exists(drain) and self.given.generation == 1:
                drained, leave_at = True, time.monotonic() + 0.3
                self.control.send(say="draining", why="asked by the test")
                self.note("draining")
            roll = self.does.get("roll")
            if roll and os.path.exists(roll):
                # At each heartbeat, as long as it lives.
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
                    case "bury":
                        self.bury(tuple(Orphan.from_message(one) for one in told["orphans"]), how="told")
            if self.control.closed:
                self.note("supervisor gone")
                os.kill(os.getpid(), signal.SIGKILL)
        self.note("left")
        return 0

    def bury(self, orphans: tuple[Orphan, ...], *, how: str) -> None:
        for orphan in orphans:
            self.note("bury", orphan=orphan.as_message(), how=how)
            if self.does.get("bury", True):
                self.control.send(say="buried", name=orphan.name)

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
