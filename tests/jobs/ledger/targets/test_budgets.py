"""Counts under targets are exact, also when runs are pruned, moved or replayed, and budgets follow from them."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from jobs.database.models import JobRun, JobTargetCount
from jobs.definition.published import PublishedKind
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.targets.budgets import count_on, read_budgets
from jobs.ledger.targets.counts import forget_old_counts, write_counts
from jobs.ledger.targets.set_targets import NO_TARGET, TargetRecord, targets_in_force, write_target
from jobs.ledger.targets.waiting import oldest_of_kinds
from jobs.settings import Settings
from jobs.states import RunState
from jobs.targets.burn import Budget
from tests.book import Book, new_run

SETTINGS = Settings()
MINUTE = timedelta(minutes=1)


def end(book: Book, state: RunState, number: int, *, kind: str = "Mail", queue: str = "mail") -> list[UUID]:
    """So many runs that ended just now."""
    runs = [new_run(kind=kind, queue=queue) for _ in range(number)]
    book.insert(runs)
    cause = "gave_up" if state is RunState.DEAD else None
    with book.database.write() as connection:
        connection.execute(
            update(JobRun)
            .where(JobRun.id.in_([one.id for one in runs]))
            .values(state=state.value, cause=cause, finished_at=book.now, state_at=book.now)
        )
    return [one.id for one in runs]


def promise(book: Book, what: str, name: str, success: float | None = 0.99, latency: int | None = None) -> None:
    with book.database.write() as connection:
        write_target(connection, what, name, TargetRecord(latency, success))


def count(book: Book, *, most: int = 100) -> int:
    """Count on as upkeep does; the number of rows written."""
    written = 0
    for _ in range(most):
        with book.database.read() as connection:
            rows = count_on(connection, SETTINGS, now=book.now)
        if not rows:
            break
        written += len(rows)
        with book.database.write() as connection:
            write_counts(connection, rows)
            write_counts(connection, rows)  # Another process, at the same time.
    return written


def budgets(book: Book) -> dict[str, Budget]:
    with book.database.read() as connection:
        return {one.name: one for one in read_budgets(connection, SETTINGS, now=book.now)}


def ended(seen: Budget, window: str) -> tuple[int, int]:
    counted = seen.burn(window).count
    return counted.succeeded, counted.dead


def test_windows_see_what_ended_within_them_and_survive_the_runs(book: Book) -> None:
    promise(book, "queue", "mail")
    promise(book, "kind", "Send")
    end(book, RunState.SUCCEEDED, 90)
    book.step(30)
    end(book, RunState.DEAD, 10)
    end(book, RunState.CANCELLED, 7)
    end(book, RunState.DEAD, 5, queue="other")
    end(book, RunState.SUCCEEDED, 3, kind="Send")
    assert ended(budgets(book)["mail"], "5m") == (93, 10), "seen before anybody has counted"
    assert ended(budgets(book)["Send"], "28d") == (3, 0)

    book.step(120)
    count(book)
    with book.database.write() as connection:
        connection.execute(delete(JobRun))
    book.step(7 * 60)
    end(book, RunState.SUCCEEDED, 4)
    count(book)

    mail = budgets(book)["mail"]
    assert ended(mail, "5m") == (4, 0)
    assert ended(mail, "1h") == ended(mail, "28d") == (97, 10)
    assert mail.burn("1h").rate == pytest.approx(10 / 107 / 0.01)
    assert mail.since == book.now.replace(second=0, microsecond=0) - 67 * MINUTE
    assert mail.broken_rule is not None
    assert mail.broken_rule.name == "slow", "the last minutes were well, the last half hour was not"


def test_a_long_pause_is_counted_in_steps_and_old_rows_are_thinned(book: Book) -> None:
    promise(book, "queue", "mail")
    count(book)
    moments = (90, 600, 1500)  # Minutes.
    begin = book.now
    for minutes in moments:
        book.now = begin + minutes * MINUTE
        end(book, RunState.DEAD, 2)
    book.now = begin + 1600 * MINUTE

    assert count(book) >= 1600 / 60
    assert count(book) == 0, "the minute is counted"

    mail = budgets(book)["mail"]
    assert [ended(mail, window)[1] for window in ("5m", "6h", "3d", "28d")] == [0, 2, 6, 6]
    book.step(600 * 60)
    count(book)
    with book.database.write() as connection:
        before = connection.scalar(select(func.count()).select_from(JobTargetCount))
        gone = forget_old_counts(connection, now=book.now)
        left = connection.scalar(select(func.count()).select_from(JobTargetCount))
    assert before == gone + left
    assert gone > 0
    assert ended(budgets(book)["mail"], "3d")[1] == 6


def test_a_run_that_is_replayed_counts_each_time_it_ends(book: Book) -> None:
    promise(book, "kind", "Mail")
    (run_id,) = end(book, RunState.DEAD, 1)
    book.step(120)
    count(book)
    book.reopen(run_id)
    (held,) = book.claim(run_id)
    book.change(held.run_id, state="succeeded", token=None, lease_until=None, finished_at=book.now, state_at=book.now)

    assert ended(budgets(book)["Mail"], "1h") == (1, 1)


def test_what_an_operator_sets_wins_over_the_class_until_it_is_cleared(book: Book) -> None:
    said = PublishedKind(
        kind="Send", queue="mail", priority=0, max_attempts=3, arguments_version=1, is_unique=False, hold_seconds=0.0,
        schema=None, max_argument_bytes=1000, latency_target_seconds=60, success_target=0.9,
    )  # fmt: skip
    with book.database.write() as connection:
        publish_kinds(connection, [said], now=book.now)
        write_target(connection, "kind", "Send", TargetRecord(None, 0.999))
        assert targets_in_force(connection) == {("kind", "Send"): TargetRecord(60, 0.999)}
        write_target(connection, "kind", "Send", NO_TARGET)
        assert targets_in_force(connection) == {("kind", "Send"): TargetRecord(60, 0.9)}
    assert budgets(book)["Send"].is_set is False


def test_the_oldest_ready_run_of_a_kind_is_found_and_pauses_do_not_count(book: Book) -> None:
    first: datetime = book.now
    book.enqueue(kind="Send", queue="mail")
    book.enqueue(kind="Other", queue="mail")
    book.step(30)
    book.enqueue(kind="Send", queue="bulk")
    book.enqueue(kind="Send", queue="bulk", run_at=first + timedelta(hours=1))
    book.step(30)

    def oldest() -> dict[str, float]:
        with book.database.read() as connection:
            return oldest_of_kinds(connection, {"Send", "None"}, now=book.now)

    assert oldest() == {"Send": pytest.approx(60, abs=0.01)}
    book.pause("mail")
    assert oldest() == {"Send": pytest.approx(30, abs=0.01)}
