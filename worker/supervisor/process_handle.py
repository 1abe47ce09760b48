"""Process handle: what the supervisor knows of one worker process."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from worker.protocol.control import Control
from worker.supervisor.generation import Generation


class ProcessStage(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    """It asked to be replaced, and finishes what it has."""
    STOPPING = "stopping"
    """It was told to stop."""


@dataclass(slots=True, eq=False)
class ProcessHandle:
    """One process, from before it is born until it is buried. Moments are monotonic seconds."""

    name: str
    region: int
    slot: int
    generation: Generation
    control: Control
    started: float
    stage: ProcessStage = ProcessStage.STARTING
    pid: int | None = None
    ready: float | None = None
    """When it first said so."""
    heard: float | None = None
    """When it last said anything."""
    asked: float | None = None
    """The first ping that it has not answered."""
    why_draining: str = ""
    roll_asked: str = ""
    """The latest moment, ISO-8601 in UTC, at which the ledger says that an operator asked for a rolling restart."""
    recycle_reason: str = ""
    """Why it wants to be replaced; until its successor is ready it serves."""
    kill_at: float | None = None
    killed: str = ""
    """Why we killed it."""
    given_up: float | None = None
    """Its zygote died: when we stop waiting for a sign of its death."""
    progress: dict[str, Any] = field(default_factory=dict)

    @property
    def is_leaving(self) -> bool:
        return self.stage in (ProcessStage.DRAINING, ProcessStage.STOPPING)

    def lived(self, now: float) -> float:
        """Seconds since it was ready; 0 if it never was."""
        return 0.0 if self.ready is None else now - self.ready

    def state(self, now: float) -> dict[str, object]:
        """What a health endpoint shows of it at this monotonic moment: plain data, ages in seconds."""
        return {
            "name": self.name,
            "pid": self.pid,
            "seat": self.slot,
            "stage": self.stage.value,
            "generation": self.generation.number,
            "age_seconds": now - self.started,
            "heard_seconds_ago": None if self.heard is None else now - self.heard,
            "progress": dict(self.progress),
        }

    def kill_no_later_than(self, moment: float) -> None:
        self.kill_at = moment if self.kill_at is None else min(self.kill_at, moment)
