"""What all claims share: their columns, in the order of ``Claim``, and that they do not wait for the disk."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, cast, literal_column, select

from jobs.database.models import JobRun
from jobs.database.random_token import random_token
from jobs.database.sql import counted, ledger_now

_ONE: ColumnElement[int] = literal_column("1")


def claim_columns() -> list[Any]:
    """Of a run that has been claimed."""
    return [
        JobRun.id,
        JobRun.token,
        JobRun.kind,
        JobRun.queue,
        JobRun.priority,
        JobRun.attempt,
        JobRun.charged,
        JobRun.crashes,
        JobRun.abandonments,
        JobRun.max_attempts,
        cast(JobRun.arguments, Text).label("arguments"),
        JobRun.arguments_version,
        JobRun.run_at,
        JobRun.created_at,
        JobRun.started_at,
        JobRun.correlation_id,
        JobRun.parent_id,
        JobRun.root_id,
        JobRun.scheduled_for,
        JobRun.schedule,
        JobRun.key,
        JobRun.trace_context,
    ]


def candidate_columns() -> list[Any]:
    """Of a run as a claim would make it, with a fresh token."""
    changed: dict[str, Any] = {
        "token": random_token(JobRun.id),
        "attempt": counted(JobRun.attempt, _ONE),
        "started_at": ledger_now(),
    }
    return [changed[one.name].label(one.name) if one.name in changed else one for one in claim_columns()]


def without_waiting() -> ColumnElement[bool]:
    """Commit this transaction without waiting for the disk: called once per statement, and true. PostgreSQL only."""
    said = select(literal_column("set_config('synchronous_commit', 'off', true)")).scalar_subquery()
    return said.is_not(None)
