"""Inserts a run with its follow-ups by one statement that commits by itself. PostgreSQL only.

SQLite does not write within a query; there, and if a live run holds the key, ``keys`` does it in a transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, select, true

from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.models import JobRun
from jobs.database.sql import insert_into
from jobs.ledger.admission.insert import NOTIFY, PLAIN, bound, keyed_columns
from jobs.ledger.effects.followups import FOLLOWUPS, followup_columns, followup_rows
from jobs.ledger.records import NewRun


def insert_with_followups(connection: DirectConnection, run: NewRun, *, notify: bool) -> bool:
    """Insert ``run`` and its follow-ups and commit, unless a live run holds its key; returns whether it did.

    Its key, if it has one, is held while the run lives. It waits for another's uncommitted run with the same key, up to
    the lock time limit.

    Args:
        notify: whether workers listen for NOTIFY.
    """
    rows = FOLLOWUPS.rows("postgresql", followup_rows((run.id, one) for one in run.followups))
    return (_BOTH_NOTIFIED if notify else _BOTH).count(connection, {**keyed_columns(run), **rows}) > 0


def _both(dialect: str, answer: Any) -> Any:
    row = {**bound({**PLAIN, "key": String(), "arguments_hash": String()}), "has_followups": true()}
    made = insert_into(dialect, JobRun).values(**row).on_conflict_do_nothing().returning(JobRun.id).cte("made")
    kept, columns = followup_columns(dialect)
    rows = select(*columns.values()).where(select(made.c.id).exists())
    followed = kept.from_select(list(columns), rows, include_defaults=False).cte("followed")
    return select(answer if answer is not None else made.c.id).select_from(made).add_cte(followed)


_BOTH = DirectStatement(lambda dialect: _both(dialect, None))
_BOTH_NOTIFIED = DirectStatement(lambda dialect: _both(dialect, NOTIFY))
