"""Columns of lists of runs, attempts and dead letters, and a run as JSON."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from admin_cli.terminal.columns import Column, paint_state

if TYPE_CHECKING:
    from jobs.ledger.queries.error_groups import ErrorGroup
    from jobs.ledger.queries.reports import DeadGroup
    from jobs.ledger.run_records import AttemptRecord, RunRecord
    from jobs.operations.runs.earlier_state import RunThen


class RunAsOf:
    """A row of a list of runs as they were: the fields of the run, None where nothing recorded them."""

    def __init__(self, then: RunThen) -> None:
        self.then = then

    def __getattr__(self, name: str) -> Any:
        return None if name in self.then.unknown else getattr(self.then.run, name)


def word_of(run: RunRecord | RunAsOf) -> str:
    """``ready``, ``scheduled``, ``retrying``, ``parked`` or ``waiting`` for a queued run; else its state."""
    if isinstance(run, RunAsOf):
        return run.then.word

    from jobs import boot
    from jobs.clock import SystemClock
    from jobs.operations.runs.inspect import state_word

    # The clock of a bundle stands still.
    app = boot.existing()
    return state_word(run, now=(app.clock if app is not None else SystemClock()).now())


def _took(run: RunRecord) -> timedelta | None:
    if run.started_at is None:
        return None
    ended = run.finished_at if run.finished_at is not None else None
    return ended - run.started_at if ended is not None and ended >= run.started_at else None


def error_of(row: RunRecord | AttemptRecord | DeadGroup | ErrorGroup) -> str | None:
    """``Class: first line of the message``, without the class's module, to save room; JSON has the full name."""
    if not row.error_type:
        return None
    first = (row.error_message or "").strip().partition("\n")[0]
    name = row.error_type.rpartition(".")[2] or row.error_type
    return f"{name}: {first}" if first else name


def attempts_of(run: RunRecord) -> str:
    """``2/10``: attempts so far, and the number of the last that the budget allows.

    Attempts that are free (snoozed, released) and those before a replay do not count against the budget.
    """
    is_open = (run.finished_at is not None and run.cause not in ("exhausted", "poison")) or run.state == "running"
    free = max(0, run.attempt - run.charged - (1 if is_open else 0))
    return f"{run.attempt}/{run.max_attempts + free}"


RUN_COLUMNS = (
    Column("id", is_id=True),
    Column("kind", gives=2, min_width=12),
    Column("queue", gives=4, min_width=6),
    Column("state", word_of, paint=paint_state),
    Column("attempt", attempts_of, heading="TRIES", gives=3),
    Column("state_at", heading="SINCE", gives=1),
    Column("error", error_of, gives=5, min_width=14),
    Column("cause", is_wide=True),
    Column("key", is_wide=True),
    Column("priority", is_wide=True),
    Column("run_at", is_wide=True),
    Column("held_on", is_wide=True),
    Column("created_at", is_wide=True),
    Column("finished_at", is_wide=True),
    Column("took", _took, is_wide=True),
    Column("worker", is_wide=True),
    Column("tags", is_wide=True),
    Column("fingerprint", is_wide=True),
)

ATTEMPT_COLUMNS = (
    Column("attempt", heading="#"),
    Column("outcome", gives=1, min_width=6),
    Column("started_at", heading="STARTED", gives=2),
    Column("took", lambda row: row.finished_at - row.started_at, gives=3),
    Column("error", error_of, gives=5, min_width=16),
    Column("retry_at", heading="AGAIN", gives=6),
    Column("worker", is_wide=True, gives=4),
    Column("fingerprint", is_wide=True),
    Column("refused_outcome", is_wide=True),
)


def run_json(run: RunRecord) -> dict[str, Any]:
    """Every field of the run, and ``word``: its state with the parts of ``queued``."""
    return {**fields_of(run), "word": word_of(run)}


def then_json(row: RunAsOf) -> dict[str, Any]:
    """Every field of the run as it was, ``word``, which record says so, and which fields nothing recorded."""
    then = row.then
    told = {name: None if name in then.unknown else value for name, value in fields_of(then.run).items()}
    return {**told, "word": then.word, "known_by": then.known_by.value, "unknown": list(then.unknown)}


def attempt_json(attempt: AttemptRecord) -> dict[str, Any]:
    return {**fields_of(attempt), "took": attempt.finished_at - attempt.started_at}


def fields_of(record: Any) -> dict[str, Any]:
    """A result dataclass as a mapping for JSON: every field, under its own name."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def group_error(group: DeadGroup) -> str | None:
    return error_of(group) or group.cause


GROUP_COLUMNS = (
    Column("fingerprint", heading="GROUP"),
    Column("count"),
    Column("kind", gives=2, min_width=10),
    Column("error", group_error, gives=3, min_width=16),
    Column("first_at", heading="FIRST", gives=4),
    Column("last_at", heading="LAST"),
    Column("cause", is_wide=True),
)
