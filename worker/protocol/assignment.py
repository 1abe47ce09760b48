"""What a worker process is given at its start, with the dead processes that it has to clean up after."""

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
"""What a worker process calls with its assignment; returns its exit code."""


KILLED = "killed: "
SILENT = KILLED + "did not answer"
OVER_LIMIT = KILLED + "over a time limit"
SHUTDOWN_LIMIT = KILLED + "shutdown limit"
ZYGOTE_DIED = "its zygote died"


@dataclass(frozen=True, slots=True)
class DeadProcess:
    """A process that died, whose attempts a living one ends in the ledger.

    It may be told twice (the first teller's answer was lost with the process that gave it), so ending must be
    harmless when it has been done. Runs that the ledger says ``name`` has and that are in neither list were
    only held: they are released. Say ``{"say": "cleaned_up", "name": name}`` when it is committed.

    Attributes:
        name: the dead process, as the ledger knows it.
        performing: the attempts that it was in the middle of, by their tokens.
        over: those of them that were over their hard limit.
        ended: the attempts it had performed; whether the settlement committed, only the ledger knows.
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
        """How the attempts end that it was performing and that were not over their limit.

        It died by itself: any of them may have done it, so all have crashed. We killed it for one that was over
        its limit, or to stop: the others are innocent, and released. It fell silent and none was over its limit:
        nobody knows whose fault it was, so none is charged, but it counts towards poison, lest it goes on for ever.
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
    """All that a worker process gets from its supervisor.

    Attributes:
        name: the process's identity in the ledger; unique for ever, at most 100 characters.
        slot: its region of the marks; no living process has the same.
        generation: the generation of code it runs; starts at 1.
        imports: the application's modules, imported already.
        settings: the settings as JSON; opaque here.
        marks: where it marks what it performs.
        control: its line to the supervisor; wrap it in ``Control``. End of file means that the supervisor is
            gone: leave at once (on Linux the kernel has killed the process before it can read that).
        dead processes: dead processes whose attempts to end first thing, before saying ``ready``.
        child spawner: a line to the zygote, for children of its own; None where it was not forked.
        target: ``module:function`` that was called.
        metrics_folder: where it counts what it does; empty: it does not.
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
    """An assignment as it travels: everything but the descriptors."""

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
        """The assignment, in the process that it is for."""
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
