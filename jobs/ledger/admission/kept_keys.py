"""Inserts a run whose key is held longer than the run lives, by one statement that commits by itself. PostgreSQL only.

SQLite does not write within a query; there, and if the key is held, ``keys`` does it in a transaction.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import String, false, insert, select

from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.models import JobRun
from jobs.ledger.admission.insert import NOTIFY, PLAIN, bound, keyed_columns
from jobs.ledger.admission.key_statements import TAKEN, take_keys
from jobs.ledger.records import NewRun


def insert_and_keep(connection: DirectConnection, run: NewRun, *, notify: bool) -> bool:
    """Insert ``run``, hold its key and commit, unless the key is held; returns whether it did.

    The run has no follow-ups. It waits for another's uncommitted run with the same key, up to the lock time limit.

    Args:
        notify: whether workers listen for NOTIFY.

    Raises:
        DBAPIError: a live run holds the key for as long as it lives only; nothing was written.
    """
    key = TAKEN.rows("postgresql", [(run.kind, run.key, run.id, run.arguments_hash, run.hold_seconds)])
    return (_KEEP_NOTIFIED if notify else _KEEP).count(connection, {**key, **keyed_columns(run)}) > 0


@cache
def _keep() -> Any:
    taken = take_keys("postgresql").cte("taken_key")
    row = {**bound({**PLAIN, "key": String(), "arguments_hash": String()}), "has_followups": false()}
    # The row of the key comes first, in the same statement: without it there is no run.
    rows = select(*row.values()).select_from(taken)
    return insert(JobRun).from_select(list(row), rows, include_defaults=False).add_cte(taken)


_KEEP = DirectStatement(lambda dialect: _keep().returning(JobRun.id))
_KEEP_NOTIFIED = DirectStatement(lambda dialect: _keep().returning(NOTIFY))
