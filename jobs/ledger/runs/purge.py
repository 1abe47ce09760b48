"""Purge: hides runs that have ended, restores them, or erases their personal data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, cast, literal, update

from jobs.database.models import JobAttempt, JobRun, JsonText
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.blobs.references import forget_erased
from jobs.ledger.effects.attempt_logs import forget_logs
from jobs.ledger.effects.callbacks import forget_callbacks
from jobs.ledger.effects.followups import forget_followups
from jobs.ledger.effects.signals import forget_signals
from jobs.ledger.effects.steps import forget_steps

ERASED = '{"erased": true}'
"""Replaces erased arguments: no job accepts it, so that a replay by mistake fails at once."""


def hide(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> set[UUID]:
    """Hide runs that have ended. Returns those hidden now; live ones do not change."""
    return set(
        session.scalars(
            update(JobRun)
            .where(JobRun.id.in_(list(run_ids)), JobRun.finished_at.is_not(None), JobRun.deleted_at.is_(None))
            .values(deleted_at=ledger_now())
            .returning(JobRun.id),
            {"now": now},
        )
    )


def unhide(session: Executor, run_ids: Sequence[UUID]) -> set[UUID]:
    """Restore purged runs. Returns those restored."""
    return set(
        session.scalars(
            update(JobRun)
            .where(JobRun.id.in_(list(run_ids)), JobRun.deleted_at.is_not(None))
            .values(deleted_at=None)
            .returning(JobRun.id)
        )
    )


def erase(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> set[UUID]:
    """Hide runs that have ended, and permanently blank their arguments, results and errors, and their attempts'.

    Their logs are deleted, and the stored values that no other run refers to.
    """
    erased = set(
        session.scalars(
            update(JobRun)
            .where(JobRun.id.in_(list(run_ids)), JobRun.finished_at.is_not(None))
            .values(
                deleted_at=ledger_now(),
                arguments=cast(literal(ERASED, Text()), JsonText),
                arguments_hash=None,
                result=None,
                progress=None,
                error_message=None,
                tags=None,
                cancel_reason=None,
            )
            .returning(JobRun.id),
            {"now": now},
        )
    )
    forget_erased(session, sorted(erased), now=now)
    forget_logs(session, sorted(erased))
    forget_steps(session, sorted(erased))
    forget_signals(session, sorted(erased))
    forget_callbacks(session, sorted(erased))
    forget_followups(session, sorted(erased))
    session.execute(
        update(JobAttempt).where(JobAttempt.run_id.in_(sorted(erased))).values(error_message=None, traceback=None)
    )
    return erased
