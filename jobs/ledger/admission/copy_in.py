"""Inserts many plain runs, or many members of batches, by COPY, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, select

from jobs.database.binary_values import UUID_LENGTH
from jobs.database.copy_rows import copy_rows, field, row
from jobs.database.models import JobRun
from jobs.database.sql import ledger_now
from jobs.ledger.admission.insert import PLAIN
from jobs.ledger.records import NewRun, SimilarRun
from jobs.states import RunState

MIN_COPY = 50
"""Fewer runs are inserted by another statement. Source: measured; below it COPY gains nothing."""
PIECE = 250
"""Rows that are sent at once. Source: measured; the server inserts them while the next ones are made."""
_REMEMBERED = 1_000
"""Most values that are kept encoded."""

_TABLE = JobRun.__table__
_SAME = tuple(name for name in PLAIN if name not in ("id", "arguments"))
"""Columns in which many runs have the same values."""
_TIMES = ("run_at", "expires_at", "scheduled_for", "created_at", "state_at")
_NEW = {"state": RunState.QUEUED.value, "attempt": 0, "charged": 0, "crashes": 0, "abandonments": 0}
_MEMBER = (*_SAME, "batch_id", "has_followups")
_times_of = attrgetter("delay_seconds", "run_at", "expires_seconds", "expires_at", "scheduled_for")


def copy_in(connection: Connection, runs: Iterable[NewRun], *, now: datetime | None = None) -> None:
    """Insert ``runs`` as queued, as ``insert_runs`` does, in one statement. Ignores their keys and follow-ups.

    It makes ``runs`` while the statement goes on, so they must not use this connection.
    """
    _copy(connection, runs, _SAME, now)


def copy_members(connection: Connection, runs: Iterable[NewRun], *, now: datetime | None = None) -> None:
    """``copy_in`` for members of batches; their batches are not counted. Ignores their keys and follow-ups."""
    _copy(connection, runs, _MEMBER, now)


def _copy(connection: Connection, runs: Iterable[NewRun], same: Sequence[str], now: datetime | None) -> None:
    encode = _Rows(connection.execute(select(ledger_now()), {"now": now}).scalar_one(), same)
    with copy_rows(connection, _TABLE, encode.columns) as write:
        rest = iter(runs)
        while piece := b"".join([encode(run) for run in islice(rest, PIECE)]):
            write(piece)


class _Rows:
    """Encodes runs as rows; remembers the values that many of them share, among them those of the columns ``same``."""

    def __init__(self, now: datetime, same: Sequence[str]) -> None:
        self.columns = ("id", "arguments", *same, *_TIMES, *_NEW)
        self._now = now
        self._start = row(len(self.columns)) + UUID_LENGTH
        self._names = same
        self._same_of = attrgetter(*same)
        self._same: dict[tuple[Any, ...], bytes] = {}
        self._times: dict[tuple[Any, ...], bytes] = {}
        self._like: NewRun | None = None
        """The run that the last one was like."""
        self._rest_of_like = b""

    def __call__(self, run: NewRun) -> bytes:
        # Written out, because each call costs a tenth of a row.
        like = run.like if type(run) is SimilarRun else None
        if like is None:
            rest = self._rest_of(run)
        elif like is self._like:
            rest = self._rest_of_like
        else:
            rest = self._rest_of_like = self._rest_of(like)
            self._like = like
        arguments = run.arguments.encode()
        return b"".join((self._start, run.id.bytes, len(arguments).to_bytes(4, "big"), arguments, rest))

    def _rest_of(self, run: NewRun) -> bytes:
        """All columns besides the id and the arguments."""
        same = self._same.get(key := self._same_of(run))
        if same is None:
            same = _remember(self._same, key, _encode(self._names, key))
        times = self._times.get(key := _times_of(run))
        if times is None:
            times = _remember(self._times, key, self._encode_times(*key) + _encode(_NEW, list(_NEW.values())))
        return same + times

    def _encode_times(
        self,
        delay: float,
        run_at: datetime | None,
        lapse: float | None,
        expires_at: datetime | None,
        scheduled_for: datetime | None,
    ) -> bytes:
        now = self._now
        if run_at is None:
            run_at = now + timedelta(seconds=delay)
        if expires_at is None and lapse is not None:
            expires_at = now + timedelta(seconds=lapse)
        return _encode(_TIMES, (run_at, expires_at, scheduled_for, now, now))


def _remember(known: dict[tuple[Any, ...], bytes], key: tuple[Any, ...], data: bytes) -> bytes:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = data
    return data


def _encode(columns: Iterable[str], values: Sequence[Any]) -> bytes:
    return b"".join(field(_TABLE, name)(value) for name, value in zip(columns, values, strict=True))
