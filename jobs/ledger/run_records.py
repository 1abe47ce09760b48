"""Records of runs and attempts, as queries return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.states import Cause, Hold, Outcome, RunState


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """A run, as read. Nobody changes it; a frozen class of this many fields takes three times as long to make."""

    id: UUID
    kind: str
    queue: str
    priority: int
    state: RunState
    cause: Cause | None
    attempt: int
    charged: int
    crashes: int
    abandonments: int
    max_attempts: int
    run_at: datetime
    """When it is due; of a held run that time alone does not make ready, when it was due before."""
    hold: Hold | None
    """Why it is held back, if it is; ``held_until`` says whether time alone ends that."""
    held_at: datetime | None
    held_on: str | None
    """What it is held on, such as ``limit:stripe``."""
    held_until: datetime | None
    expires_at: datetime | None
    key: str | None
    worker: str | None
    lease_until: datetime | None
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    state_at: datetime
    arguments: Any
    arguments_version: int
    result: Any
    progress: Any
    error_type: str | None
    error_message: str | None
    fingerprint: str | None
    tags: Any
    correlation_id: str | None
    enqueued_by: str | None
    parent_id: UUID | None
    root_id: UUID | None
    replayed_from: UUID | None
    schedule: str | None
    scheduled_for: datetime | None
    deleted_at: datetime | None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Columns that cannot be read, with their stored values; the field holds a value of the right type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """An attempt, as read."""

    run_id: UUID
    attempt: int
    outcome: Outcome
    worker: str | None
    started_at: datetime
    finished_at: datetime
    retry_at: datetime | None
    error_type: str | None
    error_message: str | None
    traceback: str | None
    fingerprint: str | None
    refused_at: datetime | None
    refused_outcome: Outcome | None
    unreadable: Mapping[str, str] = field(default_factory=dict)
