"""Assignment: what a worker process gets at its start, with the dead processes that it has to clean up after."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.states import Outcome
from worker.protocol.running_table import RunningRows

TARGET = "worker.process.main_loop:serve"
"""The function that a worker process calls with its assignment; it returns the exit code."""


KILLED = "killed: "
SILENT = KILLED + "did not answer"
OVER_LIMIT = KILLED + "over a time limit"
SHUTDOWN_LIMIT = KILLED + "shutdown limit"
ZYGOTE_DIED = "its zygote died"


@dataclass(frozen=True, slots=True)
class DeadProcess:
    """A dead process whose attempts a live process must end in the ledger.

    The same dead process may be assigned twice (the first answer may be lost with the process that sent it), so a
    second cleanup must be harmless. Runs that the ledger records as claimed by ``name`` and that are in neither list
    were never started: they are released. Answer ``{"say": "cleaned_up", "name": name}`` after the commit.

    Attributes:
        name: the name of the dead process in the ledger.
        performing: the tokens of the attempts that it was performing.
        over: those of them that were past their hard limit.
        ended: the tokens of attempts whose ``perform`` had ended; the settlement may or may not have committed.
        cause: ``signal 9``, ``exit 1``, ``killed: did not answer``, ``killed: over a time limit``, ``killed:
            shutdown limit``, ``killed: third signal``, ``its zygote died``.
    """

    name: str
    performing: tuple[UUID, ...]
    ended: tuple[UUID, ...]
    cause: str
    over: tuple[UUID, ...] = ()

    @property
    def blame(self) -> Outcome:
        """The outcome of the attempts that it was performing and that were within their limit.

        If the process died by itself, any of them may be the cause: all have crashed. If we killed it because
        another attempt was past its limit, or to stop it, they are not the cause and are released. If it stopped
        answering while none was past its limit, the cause is unknown: none is charged, but the attempts count
        towards poison, so that the run is not tried for ever.
        """
        if self.cause in (SILENT, ZYGOTE_DIED):
            return Outcome.RELEASED if self.over else Outcome.ABANDONED
        return Outcome.RELEASED if self.cause.startswith(KILLED) else Outcome.CRASHED

    def as_message(self) -> dict[str, object]:
        return {
            "name": self.name,
            "performing": [str(token) for token in self.performing],
            "ended": [str(token) for token in self.ended],
            "cause": self.cause,
            "over": [str(token) for token in self.over],
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> DeadProcess:
        return cls(
            name=message["name"],
            performing=tuple(UUID(token) for token in message["performing"]),
            ended=tuple(UUID(token) for token in message["ended"]),
            cause=message["cause"],
            over=tuple(UUID(token) for token in message.get("over", ())),
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything that a worker process gets from its supervisor.

    Attributes:
        name: the process's name in the ledger; never reused, at most 100 characters.
        region: its region of the running table; no other live process has the same.
        generation: the generation of code it runs; starts at 1.
        imports: the application's modules, imported already.
        settings: the settings as JSON; opaque here.
        running_rows: where it records the runs that it performs.
        control: the socket to the supervisor; wrap it in ``Control``. End of file means that the supervisor is gone:
        exit at once (on Linux the kernel kills the process before it can read that).
        dead_processes: dead processes to clean up after, before sending ``ready``.
        spawner: a socket to the zygote, to start child processes; None if the process was not forked.
        target: the ``module:function`` that was called.
        metrics_folder: where it writes its metrics; empty: it writes none.
    """

    name: str
    region: int
    generation: int
    imports: tuple[str, ...]
    settings: str
    running_rows: RunningRows
    control: socket.socket
    dead_processes: tuple[DeadProcess, ...] = ()
    spawner: socket.socket | None = None
    target: str = TARGET
    metrics_folder: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An assignment in transit: everything except the descriptors."""

    name: str
    region: int
    generation: int
    imports: tuple[str, ...]
    settings: str
    dead_processes: tuple[DeadProcess, ...] = ()
    target: str = TARGET
    metrics_folder: str = ""

    def to_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "region": self.region,
                "generation": self.generation,
                "imports": self.imports,
                "settings": self.settings,
                "dead_processes": [dead_process.as_message() for dead_process in self.dead_processes],
                "target": self.target,
                "metrics_folder": self.metrics_folder,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Order:
        told = json.loads(text)
        return cls(
            name=told["name"],
            region=told["region"],
            generation=told["generation"],
            imports=tuple(told["imports"]),
            settings=told["settings"],
            dead_processes=tuple(DeadProcess.from_message(dead_process) for dead_process in told["dead_processes"]),
            target=told["target"],
            metrics_folder=told["metrics_folder"],
        )

    def assign(self, *, running_fd: int, control: socket.socket, spawner: socket.socket | None = None) -> Assignment:
        """Make the assignment, inside the process that it is for."""
        return Assignment(
            name=self.name,
            region=self.region,
            generation=self.generation,
            imports=self.imports,
            settings=self.settings,
            running_rows=RunningRows(running_fd, self.region),
            control=control,
            dead_processes=self.dead_processes,
            spawner=spawner,
            target=self.target,
            metrics_folder=self.metrics_folder,
        )
