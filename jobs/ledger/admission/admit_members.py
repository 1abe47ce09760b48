"""Inserts members of batches: many by COPY on PostgreSQL, and those with a key or follow-ups as ``admit`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection

from jobs.database.sql import Executor, dialect_of
from jobs.ledger.admission.copy_in import MIN_COPY, copy_members
from jobs.ledger.admission.insert import is_fair
from jobs.ledger.admission.keys import admit
from jobs.ledger.blobs.references import hold
from jobs.ledger.records import Admitted, NewRun, SimilarRun

CHUNK = 500
"""Members inserted by one statement without COPY. Source: as for ``enqueue_many``."""


def admit_members(
    session: Executor, runs: Sequence[NewRun], *, may_copy: bool, now: datetime | None = None
) -> list[Admitted]:
    """Insert ``runs``, which are members of batches; their batches are not counted. Results have the order of ``runs``.

    Args:
        may_copy: the connection is our own, so its driver knows COPY.

    Raises:
        KeyConflict, KeyBusy: as ``admit``.
        StoredMissing: a value that one of them refers to was removed.
    """
    # A similar run refers to no stored value.
    hold(session, [run for run in runs if type(run) is not SimilarRun], now=now)
    plain = list(_plain_runs(runs))
    by_copy = may_copy and len(plain) >= MIN_COPY and dialect_of(session) == "postgresql"
    found: dict[int, Admitted] = {}
    if by_copy and isinstance(session, Connection):
        copy_members(session, plain, now=now)
        if len(plain) == len(runs):
            return [Admitted(run, created=True) for run in runs]
        found = {run.id.int: Admitted(run, created=True) for run in plain}
    careful = [run for run in runs if run.id.int not in found]
    for start in range(0, len(careful), CHUNK):
        chunk = careful[start : start + CHUNK]
        found |= {run.id.int: one for run, one in zip(chunk, admit(session, chunk, now=now), strict=True)}
    return [found[run.id.int] for run in runs]


def _plain_runs(runs: Sequence[NewRun]) -> Iterator[NewRun]:
    """Those without a key, follow-ups or a tenant. One answer holds for all that are like the same run."""
    like: NewRun | None = None
    is_plain = False
    for run in runs:
        likeness = run.like if type(run) is SimilarRun else None
        if likeness is None or likeness is not like:
            like = likeness
            is_plain = run.key is None and not run.followups and not is_fair(run)
        if is_plain:
            yield run
