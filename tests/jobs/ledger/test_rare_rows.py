"""Whether a ledger has rows that the sweeps of breakers and limits look at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, update

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.models import (
    JobBreaker,
    JobBreakerFailure,
    JobLimit,
    JobLimitSlot,
    JobRateSlot,
    JobRun,
    JobTurn,
)
from jobs.ledger.rare_rows import rare_rows
from jobs.upkeep import loop
from jobs.upkeep.loop import Upkeep
from jobs.upkeep.quick_read import quick_read
from tests.book import Book

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SLOT = {"run_id": new_run_id(), "name": "api", "digest": "d1"}
ROWS: dict[str, tuple[Any, dict[str, Any], tuple[bool, bool]]] = {
    "a limit itself": (JobLimit, {"name": "api", "digest": "", "most": 1, "seen_at": NOW}, (False, False)),
    "a key of a limit": (JobLimit, {"name": "api", "digest": "d1", "most": 1, "seen_at": NOW}, (False, True)),
    "a slot": (JobLimitSlot, {**SLOT, "taken_at": NOW}, (False, True)),
    "a reserved slot of a rate": (JobRateSlot, {**SLOT, "attempt": 1, "place": 1}, (False, True)),
    "a tenant's turn": (
        JobTurn,
        {"queue": "default", "priority": 0, "tenant": "t1", "turn": 1.0, "weight": 1.0, "seen_at": NOW},
        (False, True),
    ),
    "a breaker itself": (JobBreaker, {"name": "api", "digest": "", "changed_at": NOW}, (False, False)),
    "a key of a breaker": (JobBreaker, {"name": "api", "digest": "d1", "changed_at": NOW}, (True, False)),
    "a failure": (JobBreakerFailure, {**SLOT, "attempt": 1, "fingerprint": "f1", "failed_at": NOW}, (True, False)),
}


def found(app: App) -> tuple[bool, bool]:
    with quick_read(app.database) as runner:
        return tuple(rare_rows(runner))  # type: ignore[return-value]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sweeps that have run; they do nothing else."""
    swept: list[str] = []
    for name in ("sweep_breakers", "reassign_parked"):
        monkeypatch.setattr(loop, name, lambda app, name=name: (swept.append(name) or 0, []))
    return swept


def test_if_the_rows_cannot_be_read_every_sweep_runs(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = watched(monkeypatch)
    monkeypatch.setattr(loop, "rare_rows", lambda runner: 1 / 0)

    Upkeep(app).round()

    assert swept == ["sweep_breakers", "reassign_parked"]


def test_a_ledger_of_plain_runs_has_none(app: App, book: Book) -> None:
    book.start()
    book.enqueue()

    assert found(app) == (False, False)


@pytest.mark.parametrize("which", ROWS)
def test_a_row_is_found_and_what_looks_at_it_runs(app: App, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    table, values, expected = ROWS[which]
    swept = watched(monkeypatch)

    with app.database.write() as connection:
        connection.execute(insert(table.__table__), values)
    Upkeep(app).round()

    assert found(app) == expected
    assert (("sweep_breakers" in swept), ("reassign_parked" in swept)) == expected


def test_a_held_run_is_found_by_both(app: App, book: Book) -> None:
    run_id = book.enqueue()
    held = {"hold": "parked", "held_on": "limit:api#", "held_at": NOW}
    with app.database.write() as connection:
        connection.execute(update(JobRun).where(JobRun.id == run_id).values(**held))

    assert found(app) == (True, True)
