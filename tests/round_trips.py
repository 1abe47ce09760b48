"""Counts the round trips to PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.database.postgres.connection import LimitedConnection


def count_round_trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that from now on gets an entry for each time that a connection waits for an answer of the server.

    A wait for a notification does not count.
    """
    trips: list[str] = []
    real, real_answer = LimitedConnection.wait, LimitedConnection.answer

    def wait(self: LimitedConnection, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        # Only who waits for a notification gives a time limit.
        return real(self, gen if timeout is not None else _counting(gen, trips), interval, timeout)

    def answer(self: LimitedConnection) -> Any:
        trips.append("answer")
        return real_answer(self)

    monkeypatch.setattr(LimitedConnection, "wait", wait)
    monkeypatch.setattr(LimitedConnection, "answer", answer)
    return trips


def _counting(gen: Any, trips: list[str]) -> Any:
    try:
        wanted = next(gen)
        trips.append(getattr(gen, "__name__", "?"))
        while True:
            wanted = gen.send((yield wanted))
    except StopIteration as end:
        return end.value
