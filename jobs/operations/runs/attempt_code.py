"""The code that performed the attempts of a run: the release, the job's class in it, its time limit; and steps done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from jobs.app import App
from jobs.ledger.effects import steps
from jobs.ledger.releases import find_releases
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.operations.audit.operator import Operator, Permission


@dataclass(frozen=True, slots=True)
class AttemptCode:
    """The code of an attempt. A field is None if the worker did not report it.

    Attributes:
        release: ``JOBS_RELEASE`` of the worker.
        code: ``version:schema:source`` of the job's class, as ``compat`` shows it.
        timeout: the soft time limit that was in force; also None if there was none.
        steps: the steps that were done in this attempt, in the order in which they began.
    """

    release: str | None
    code: str | None
    timeout: timedelta | None
    steps: tuple[str, ...]


def codes_of(app: App, operator: Operator, run: RunRecord, attempts: Sequence[AttemptRecord]) -> list[AttemptCode]:
    """The code of each of these attempts of ``run``."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = find_releases(connection, {one.worker for one in attempts if one.worker})
        done = [one for one in steps.list_steps(connection, run.id) if one.finished_at is not None]
    codes = []
    for attempt in attempts:
        worker = found.get(attempt.worker or "")
        kind = worker.kinds.get(run.kind) if worker is not None else None
        codes.append(
            AttemptCode(
                release=worker.release if worker is not None else None,
                code=kind.code if kind is not None else None,
                timeout=timedelta(seconds=kind.timeout_seconds) if kind is not None and kind.timeout_seconds else None,
                steps=tuple(step.name for step in done if step.attempt == attempt.attempt),
            )
        )
    return codes
