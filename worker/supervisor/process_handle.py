"""Process handle: the supervisor's record of one worker process."""

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
    """It asked to be replaced, and finishes its runs."""
    STOPPING = "stopping"
    """The supervisor told it to stop."""


@dataclass(slots=True, eq=False)
class ProcessHandle:
    """One process, from the request to start it until it is dead. Moments are monotonic seconds."""

    name: str
    region: int
    slot: int
    generation: Generation
    control: Control
    started: float
    stage: ProcessStage = ProcessStage.STARTING
    pid: int | None = None
    ready: float | None = None
    """When it first sent ``ready``."""
    answered_at: float | None = None
    """When its last message came."""
    pinged_at: float | None = None
    """When the first ping was sent that it has not answered."""
    why_draining: str = ""
    roll_asked: str = ""
    """When an operator last asked for a rolling restart, as read from the ledger; ISO-8601 in UTC."""
    recycle_reason: str = ""
    """Why it asks to be replaced; it serves until its successor is ready."""
    kill_at: float | None = None
    killed: str = ""
    """Why the supervisor killed it."""
    given_up: float | None = None
    """Set when its zygote died: when to assume that the process is dead."""
    progress: dict[str, Any] = field(default_factory=dict)

    @property
    def is_leaving(self) -> bool:
        return self.stage in (ProcessStage.DRAINING, ProcessStage.STOPPING)

    def seconds_ready(self, now: float) -> float:
        """Seconds since it was ready; 0 if it never was."""
        return 0.0 if self.ready is None else now - self.ready

    def state(self, now: float) -> dict[str, object]:
        """Its state for a health endpoint, at this monotonic moment: plain data, ages in seconds."""
        return {
            "name": self.name,
            "pid": self.pid,
            "slot": self.slot,
            "stage": self.stage.value,
            "generation": self.generation.number,
            "age_seconds": now - self.started,
            "heard_seconds_ago": None if self.answered_at is None else now - self.answered_at,
            "progress": dict(self.progress),
        }

    def kill_no_later_than(self, moment: float) -> None:
        self.kill_at = moment if self.kill_at is None else min(self.kill_at, moment)
