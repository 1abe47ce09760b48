"""The batch of ended attempts, as the statements that settle them take it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Float, Integer, Text, Uuid

from jobs.database.sql import BinaryBatch, RowBatch
from jobs.ledger.records import AttemptResult

_COLUMNS: dict[str, Any] = {
    "id": Uuid(),
    "token": Uuid(),
    "attempt": Integer(),
    "result": Text(),
    "ago_seconds": Float(),
    "elapsed_seconds": Float(),
}
DONE = RowBatch("done", **_COLUMNS)
DONE_BINARY = BinaryBatch("done", **_COLUMNS)
"""The same in the binary format, which costs the server 3 µs less for each run, and us 2."""


def rows_of(
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    monotonic: float,
    now: datetime | None,
    batch: RowBatch = DONE,
) -> tuple[list[tuple[AttemptResult, float]], dict[str, Any]]:
    """The endings with the seconds since each, and the parameters that carry them.

    In the order of ids, so that two processes that settle the same runs cannot deadlock.
    """
    ordered = [
        (one, max(0.0, monotonic - one.ended_monotonic))
        for one in sorted(endings, key=lambda one: one.claim.run_id.int)
    ]
    rows = [
        ((claim := one.claim).run_id, claim.token, claim.attempt, one.result, ago, one.elapsed_seconds)
        for one, ago in ordered
    ]
    return ordered, {**batch.rows("postgresql", rows), "by_worker": worker, "now": now}
