"""The proof after chaos: a ledger that is sound passes, and each break of a promise is found and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, update

from jobs.app import App
from jobs.clock import new_token
from jobs.database.models import JobAttempt, JobRun
from jobs.ledger import workers
from jobs.ledger.chaos.effects import begin_effect, count_effect, forget_effects, withdraw_effect
from jobs.ledger.chaos.targets import begin_run, set_target
from jobs.ledger.records import Claim
from jobs.ledger.runs import end
from jobs.operations.chaos.proof import Hits, Invariant, left_to_end, prove
from jobs.states import Outcome
from tests.book import Book, attempt_result

QUIET = Hits(workers=frozenset({"w1"}), cuts=())
HOUR = timedelta(hours=1)


def broken(app: App, *, hits: Hits = QUIET) -> dict[str, list[str]]:
    """The reasons of each broken promise."""
    found = proved(app, hits=hits)
    return {one.name: [breach.why for breach in one.breaches] for one in found if not one.holds}


def proved(app: App, *, hits: Hits = QUIET) -> list[Invariant]:
    return prove(app.database, since=datetime.now(UTC) - HOUR, hits=hits)


def succeed(book: Book, held: Claim) -> None:
    book.end(held, Outcome.SUCCEEDED)


def losing(book: Book, *, worker: str = "w1") -> tuple[Claim, Claim]:
    """Two claims of one run: the first was lost while its worker was stopped."""
    first = book.start(worker=worker)
    book.step(31)
    book.rescue()
    (second,) = book.claim(first.run_id, worker="w2")
    return first, second


@pytest.fixture
def sound(app: App, book: Book) -> Claim:
    """A ledger with runs in every state, all of them explained. Returns one that succeeded at its second attempt."""
    book.step(-600)
    first, second = losing(book)
    succeed(book, first)  # It is refused.
    succeed(book, second)
    tried = book.start()
    book.end(tried, Outcome.FAILED, delay=3600.0)
    book.enqueue(delay_seconds=7200.0)
    book.step(569)
    book.start()
    return second


def test_a_sound_ledger_passes_and_says_where_every_run_is(app: App, book: Book, sound: Claim) -> None:
    runs, attempts, tokens, _ = proved(app)

    assert broken(app) == {}
    assert runs.counts == {"succeeded": 1, "retrying": 1, "running": 1, "scheduled": 1}
    assert attempts.counts == {"checked": 3, "lost to faults": 1}
    assert tokens.counts == {"checked": 3}
    assert left_to_end(app.database) == 2


def test_a_settle_verb_without_its_token_is_found(
    app: App, book: Book, sound: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_token = end._end

    def fork(dialect: str) -> object:
        statement = with_token(dialect)._generate()
        statement._where_criteria = tuple(one for one in statement._where_criteria if "token" not in str(one))
        return statement

    monkeypatch.setattr(end, "_end", fork)
    first, second = losing(book)
    book.settle_with_care(attempt_result(first, Outcome.SUCCEEDED))
    book.settle_with_care(attempt_result(second, Outcome.SUCCEEDED), worker="w2")

    assert broken(app) == {
        "attempts": ["attempt 3 came after one that ended as succeeded"],
        "tokens": ["one token ended its attempts 1 and 2"],
    }


def change(app: App, *statements: object) -> None:
    with app.database.write() as connection:
        for one in statements:
            connection.execute(one)  # type: ignore[call-overload]


def set_outcome(app: App, held: Claim, attempt: int, outcome: str) -> None:
    of_attempt = (JobAttempt.run_id == held.run_id, JobAttempt.attempt == attempt)
    change(app, update(JobAttempt).where(*of_attempt).values(outcome=outcome))


def remove_attempt(app: App, held: Claim) -> None:
    change(app, delete(JobAttempt).where(JobAttempt.run_id == held.run_id, JobAttempt.attempt == 1))


def remove_run(app: App, held: Claim) -> None:
    change(app, delete(JobRun).where(JobRun.id == held.run_id))


def fail_in_the_record_alone(app: App, held: Claim) -> None:
    set_outcome(app, held, 2, "failed")


def reopen(app: App, held: Claim) -> None:
    change(app, update(JobRun).where(JobRun.id == held.run_id).values(state="queued", finished_at=None))


def give_up_before(app: App, held: Claim) -> None:
    set_outcome(app, held, 1, "gave_up")


def run_with_an_old_token(app: App, held: Claim) -> None:
    reopen(app, held)
    soon = datetime.now(UTC) + HOUR
    again = {"state": "running", "token": held.token, "lease_until": soon, "attempt": 3}
    change(app, update(JobRun).where(JobRun.id == held.run_id).values(again))


def forget_a_lease(app: App, held: Claim) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    change(app, update(JobRun).where(JobRun.state == "running").values(lease_until=past))


def take_nobodys(app: App, held: Claim) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    with app.database.write() as connection:
        workers.register(
            connection, "w1", host="desk", pid=1, version="1", queues=["still"], kinds=["Mail"], threads=1
        )  # fmt: skip
    Book(app.database, now=past).enqueue(queue="still")


@pytest.mark.parametrize(
    ("breaks", "promise", "why"),
    [
        (remove_attempt, "attempts", "2 attempts ended, and 1 are on record"),
        (remove_run, "attempts", "the run is gone"),
        (fail_in_the_record_alone, "attempts", "it succeeded, but none of its attempts did"),
        (reopen, "attempts", "an attempt succeeded, but the run is queued"),
        (give_up_before, "attempts", "attempt 2 came after one that ended as gave_up"),
        (run_with_an_old_token, "tokens", "it runs with the token that ended attempt 2"),
        (forget_a_lease, "runs", "its lease ran out more than 30 s ago, and nobody ended its attempt"),
        (take_nobodys, "runs", "it has been ready for more than 30 s, and no worker took it"),
    ],
)
def test_each_break_is_found(
    app: App, book: Book, sound: Claim, breaks: Callable[[App, Claim], None], promise: str, why: str
) -> None:
    breaks(app, sound)

    assert broken(app)[promise] == [why]


def test_a_lost_attempt_needs_a_fault(app: App, book: Book, sound: Claim) -> None:
    (lost,) = [why for whys in broken(app, hits=Hits((), ())).values() for why in whys]

    assert lost == "attempt 1 was lost by w1, which had no fault"
    cut = book.now - timedelta(seconds=590)
    assert broken(app, hits=Hits((), [cut - timedelta(seconds=1)])) == {}


def test_each_effect_exists_once_with_its_success(app: App, book: Book, sound: Claim) -> None:
    def effect(run_id: UUID, token: UUID, *, commits: int) -> None:
        with app.database.write() as connection:
            begin_effect(connection, run_id, token)
            for _ in range(commits):
                count_effect(connection, run_id, token)

    effect(sound.run_id, sound.token, commits=1)
    assert [one.counts for one in proved(app) if one.name == "effects"] == [{"checked": 0}]  # Chaos is not run.
    with app.database.write() as connection:
        set_target(connection, "staging", by="ada", reason=None, span=HOUR)
        assert begin_run(connection, "staging", by="ada", span=timedelta(minutes=1))
    effect(sound.run_id, sound.token, commits=1)
    effect(sound.run_id, new_token(), commits=0)
    assert [one.counts for one in proved(app) if one.name == "effects"] == [{"checked": 1}]
    assert broken(app) == {}
    effect(sound.run_id, sound.token, commits=1)
    assert broken(app) == {"effects": ["its transaction() took effect 2 times"]}
    with app.database.write() as connection:
        forget_effects(connection)
    effect(sound.run_id, new_token(), commits=1)
    assert broken(app) == {"effects": ["its transaction() took effect in an attempt that did not succeed"]}
    with app.database.write() as connection:
        forget_effects(connection)
    effect(sound.run_id, sound.token, commits=0)
    assert broken(app) == {"effects": ["it succeeded, but its transaction() took no effect"]}
    with app.database.write() as connection:
        withdraw_effect(connection, sound.run_id, sound.token)
    assert broken(app) == {}


def test_the_same_token_in_two_runs_is_found(app: App, book: Book, sound: Claim) -> None:
    other = book.start()
    succeed(book, other)

    change(app, update(JobAttempt).where(JobAttempt.run_id == other.run_id).values(token=sound.token))

    assert broken(app) == {"tokens": ["its token ended attempts of 2 runs"]}
