"""Applied once: the run's own transaction, steps, cursors and follow-ups, with the process dying in between."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text

import jobs
from jobs import Cause, Job, Outcome, RunState
from jobs.definition import registry
from jobs.ledger.effects.cursors import move_cursor
from jobs.ledger.effects.steps import begin_effect, end_effect, repeat_effect
from jobs.ledger.queries import find as finding
from jobs.ledger.runs import sweep
from jobs.testing import Crash, Ledger

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    Gateway.reset()
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        with ledger.app.database.write() as connection:
            connection.execute(text("create table paid (n integer)"))
        yield ledger


def paid(ledger: Ledger) -> list[int]:
    with ledger.app.database.read() as connection:
        return list(connection.scalars(text("select n from paid order by n")))


class Gateway:
    calls: ClassVar[list[str]] = []
    errors: ClassVar[list[BaseException]] = []
    answer: ClassVar[Any] = "receipt"

    @classmethod
    def reset(cls) -> None:
        cls.calls, cls.errors, cls.answer = [], [], "receipt"

    @classmethod
    def charge(cls, key: str) -> Any:
        cls.calls.append(key)
        if cls.errors:
            raise cls.errors.pop(0)
        return cls.answer


class Pay(Job):
    n: int = 1

    def perform(self) -> str:
        with self.run.transaction() as session:
            session.execute(text("insert into paid values (:n)"), {"n": self.n})
            Note(n=self.n).enqueue()
        return "done"


class Note(Job):
    n: int

    def perform(self) -> None: ...


class Charge(Job, kind="effects.Charge"):
    if_unknown: str = "repeat"

    def perform(self) -> Any:
        key = self.run.effect_key("charge")
        return self.run.once("charge", lambda: Gateway.charge(key), if_unknown=self.if_unknown)  # type: ignore[arg-type]


# -- the run's own transaction


def test_writes_of_a_job_commit_with_its_success(ledger: Ledger) -> None:
    performed = ledger.perform(Pay(n=3))

    assert performed.run.state is RunState.SUCCEEDED
    assert performed.run.result == "done"
    assert paid(ledger) == [3]
    assert [one.outcome for one in jobs.attempts(performed.run.id)] == [Outcome.SUCCEEDED]


def test_runs_that_a_job_enqueues_in_its_transaction_commit_with_its_success(ledger: Ledger) -> None:
    ledger.crash(Pay, late=True)
    run = ledger.perform(Pay(n=3)).run
    ledger.assert_not_enqueued(Note)

    ledger.drain(advance=HOUR)

    note = ledger.assert_enqueued(Note, n=3)
    assert (note.parent_id, note.root_id) == (run.id, run.id)


@pytest.mark.parametrize("plan", ["crash", "time_out"])
def test_a_death_between_the_block_and_the_commit_leaves_nothing(ledger: Ledger, plan: str) -> None:
    getattr(ledger, plan)(Pay, late=True)

    first = ledger.perform(Pay(n=3))
    assert first.run.state is RunState.QUEUED
    assert paid(ledger) == []

    ledger.drain(advance=HOUR)
    assert paid(ledger) == [3]


def test_an_error_after_the_block_rolls_it_back(ledger: Ledger) -> None:
    class PayAndFail(Job):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (1)"))
            raise ValueError("after")

    performed = ledger.perform(PayAndFail())

    assert isinstance(performed.error, ValueError)
    assert paid(ledger) == []


def test_a_job_that_commits_by_itself_still_commits_with_its_success_only(ledger: Ledger) -> None:
    class Eager(Job):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (1)"))
                session.commit()
                session.execute(text("insert into paid values (2)"))
            if self.run.attempt == 1:
                raise ValueError("again")

    run_id = Eager().enqueue().id
    ledger.perform(run_id)
    assert paid(ledger) == []
    ledger.drain(advance=HOUR)
    assert paid(ledger) == [1, 2]


def test_a_run_that_was_cancelled_meanwhile_writes_nothing(ledger: Ledger) -> None:
    class CancelledWhileItRuns(Job):
        def perform(self) -> None:
            jobs.cancel(self.run.id, reason="no longer wanted")
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (1)"))

    performed = ledger.perform(CancelledWhileItRuns())

    assert performed.run.state is RunState.CANCELLED
    assert paid(ledger) == []


def test_an_attempt_has_one_transaction(ledger: Ledger) -> None:
    class Twice(Job):
        def perform(self) -> None:
            with self.run.transaction():
                pass
            with self.run.transaction():
                pass

    error = ledger.perform(Twice()).error
    assert isinstance(error, jobs.JobsError)
    assert "has already opened its transaction" in str(error)


def test_a_commit_that_the_database_refuses_fails_the_attempt(ledger: Ledger) -> None:
    class Refused(Job):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into nowhere values (1)"))

    performed = ledger.perform(Refused())

    assert performed.run.state is RunState.QUEUED
    assert performed.outcome is Outcome.FAILED


def test_an_async_job_has_its_transaction_too(ledger: Ledger) -> None:
    class PayAsync(Job):
        async def perform(self) -> None:
            await asyncio.sleep(0)
            async with self.run.transaction() as session:
                session.execute(text("insert into paid values (5)"))
                await Note(n=1).enqueue_async()

    performed = ledger.perform(PayAsync())

    assert performed.result() is None
    assert paid(ledger) == [5]
    ledger.assert_enqueued(Note, n=1)


def test_long_work_after_the_block_is_warned_of(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    class Dawdles(Job):
        def perform(self) -> None:
            with self.run.transaction():
                pass
            self.run.left_monotonic -= 2  # type: ignore[operator]

    with caplog.at_level(logging.WARNING):
        ledger.perform(Dawdles())

    assert any("after its transaction" in record.message for record in caplog.records)


# -- steps


def test_a_step_is_performed_once_and_later_attempts_get_its_result(ledger: Ledger) -> None:
    Gateway.answer = ("a", 1)
    ledger.crash(Charge, late=True)
    first = ledger.perform(Charge())

    performed = ledger.drain(advance=HOUR)

    assert first.outcome is Outcome.CRASHED
    assert [one.result() for one in performed] == [["a", 1]]
    assert len(Gateway.calls) == 1


def test_a_step_returns_its_result_as_json_the_first_time_too(ledger: Ledger) -> None:
    Gateway.answer = {"at": (1, 2)}

    assert ledger.perform(Charge()).result() == {"at": [1, 2]}


@pytest.mark.parametrize("error", [Crash("died"), OSError("connection reset")])
def test_an_intent_without_an_end_is_repeated_with_the_same_key(ledger: Ledger, error: BaseException) -> None:
    Gateway.errors = [error]
    ledger.perform(Charge())

    ledger.drain(advance=HOUR)

    assert len(Gateway.calls) == 2
    assert len(set(Gateway.calls)) == 1


def test_an_intent_without_an_end_ends_a_run_with_on_unknown_stop(ledger: Ledger) -> None:
    Gateway.errors = [Crash("died")]
    ledger.perform(Charge(if_unknown="stop"))

    [performed] = ledger.drain(advance=HOUR)

    assert (performed.run.state, performed.run.cause) == (RunState.DEAD, Cause.UNKNOWN_EFFECT)
    assert len(Gateway.calls) == 1
    [step] = jobs.steps(performed.run.id)
    assert (step.name, step.finished_at, step.attempt) == ("charge", None, 1)


def test_the_error_of_an_unknown_effect_says_how_to_resolve_it_and_a_reopened_run_ends_the_same_way(
    ledger: Ledger,
) -> None:
    # K.8
    from jobs.ledger.runs.replay import reopen

    Gateway.errors = [Crash("died")]
    ledger.perform(Charge(if_unknown="stop"))
    [performed] = ledger.drain(advance=HOUR)

    said = performed.run.error_message or ""
    assert "It is unknown whether it took place" in said
    assert f"jobledger effects resolve {performed.run.id} charge --took-place RESULT, or --did-not" in said

    with ledger.app.database.write() as connection:
        reopen(connection, [performed.run.id])
    [again] = ledger.drain(advance=HOUR)
    assert (again.run.state, again.run.cause) == (RunState.DEAD, Cause.UNKNOWN_EFFECT)
    assert len(Gateway.calls) == 1


def test_a_steering_signal_says_that_the_step_did_not_take_place(ledger: Ledger) -> None:
    Gateway.errors = [jobs.RetryAfter(HOUR)]
    ledger.perform(Charge(if_unknown="stop"))

    performed = ledger.drain(advance=2 * HOUR)

    assert [one.result() for one in performed] == ["receipt"]


def test_a_name_stands_for_one_step_of_an_attempt(ledger: Ledger) -> None:
    class Repeats(Job):
        def perform(self) -> None:
            for _ in range(2):
                self.run.once("same", lambda: None)

    assert isinstance(ledger.perform(Repeats()).error, jobs.StepRepeated)


@pytest.mark.parametrize("answer", [object(), "x" * 2000, float("nan"), {1, 2, 3} and {"k": "a\0b"}])
def test_a_result_that_a_step_cannot_store_is_refused(ledger_url: str, answer: Any) -> None:
    Gateway.reset()
    Gateway.answer = answer
    with Ledger(ledger_url, max_result_bytes=1000) as ledger:
        assert isinstance(ledger.perform(Charge()).error, jobs.StepRefused)


def test_a_step_inside_the_transaction_is_refused_at_once(ledger: Ledger) -> None:
    class Inside(Job):
        def perform(self) -> None:
            with self.run.transaction():
                self.run.once("charge", lambda: None)

    error = ledger.perform(Inside()).error
    assert isinstance(error, jobs.JobsError)
    assert "before the block" in str(error)


def test_a_zombie_stores_no_step(ledger: Ledger) -> None:
    run_id = Charge().enqueue().id
    old = claim(ledger, run_id)
    with ledger.app.database.write() as connection:
        begin_effect(connection, run_id, old.token, "charge", attempt=1)
    ledger.advance(DAY)
    with ledger.app.database.write() as connection:
        sweep.rescue(connection, poison_after=9)
    new = claim(ledger, run_id)
    # Nobody has repeated the step yet: it still has the token of the old attempt.
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        end_effect(connection, run_id, old.token, "charge", result='"old"')
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        repeat_effect(connection, run_id, old.token, "charge", attempt=1)
    with ledger.app.database.write() as connection:
        repeat_effect(connection, run_id, new.token, "charge", attempt=2)

    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        end_effect(connection, run_id, old.token, "charge", result='"old"')
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        move_cursor(connection, run_id, old.token, "rows", attempt=1, to="5")
    with pytest.raises(jobs.LeaseLost), ledger.app.database.write() as connection:
        begin_effect(connection, run_id, old.token, "other", attempt=1)
    with ledger.app.database.write() as connection:
        end_effect(connection, run_id, new.token, "charge", result='"new"')

    assert [step.result for step in jobs.steps(run_id)] == ["new"]


def claim(ledger: Ledger, run_id: Any) -> Any:
    from jobs.ledger.runs.claim import claim as verb

    with ledger.app.database.write() as connection:
        [one] = verb(connection, [run_id], kinds=["effects.Charge"], worker="w", lease=HOUR)
    return one


def test_an_effect_key_is_the_same_in_every_attempt_and_another_for_other_arguments(ledger: Ledger) -> None:
    Gateway.errors = [OSError(), OSError()]
    ledger.perform(Charge())
    ledger.drain(advance=HOUR)
    ledger.perform(Charge())

    assert len(Gateway.calls) == 4
    assert len(set(Gateway.calls)) == 2


# -- cursors


class Import(Job):
    rows: int = 10
    chunk: int = 4
    crash_at: int | None = None

    def perform(self) -> list[int]:
        rows = self.run.cursor("rows")
        seen = [rows.value]
        while rows.value < self.rows:
            upto = min(rows.value + self.chunk, self.rows)
            with rows.advance(to=upto) as session:
                for n in range(rows.value, upto):
                    session.execute(text("insert into paid values (:n)"), {"n": n})
                if self.crash_at is not None and self.run.attempt == 1 and upto > self.crash_at:
                    raise Crash("died in a chunk")
            seen.append(rows.value)
        return seen


def test_a_chunk_and_its_cursor_are_one_commit(ledger: Ledger) -> None:
    ledger.perform(Import(crash_at=5))
    assert paid(ledger) == [0, 1, 2, 3]

    [performed] = ledger.drain(advance=HOUR)

    assert performed.result() == [4, 8, 10]
    assert paid(ledger) == list(range(10))


def test_a_cursor_is_found_where_it_was_whatever_it_holds(ledger: Ledger) -> None:
    class Pages(Job):
        def perform(self) -> Any:
            page = self.run.cursor("page", start=None)
            if page.value is None:
                with page.advance(to={"token": "abc"}):
                    pass
                raise OSError("later")
            return page.value

    ledger.perform(Pages())

    assert ledger.drain(advance=HOUR)[0].result() == {"token": "abc"}


def test_a_checkpointed_loop_goes_on_after_a_stop_and_is_not_charged(ledger: Ledger) -> None:
    done: list[int] = []

    class Walk(Job):
        def perform(self) -> None:
            for n in self.run.checkpointed(range(10)):
                done.append(n)
                if n == 3:
                    ledger.stopping.set()

    first = ledger.perform(Walk())
    ledger.stopping.clear()
    ledger.drain()

    assert first.outcome is Outcome.SNOOZED
    assert first.run.charged == 0
    assert done == list(range(10))


# -- follow-ups


class FollowedOrder(Job, retry=jobs.Retry(max_attempts=2)):
    def perform(self) -> None: ...


class Say(Job):
    what: str

    def perform(self) -> None: ...


FOLLOW = {"on_success": [Say(what="yes")], "on_dead": [Say(what="dead")], "on_cancelled": [Say(what="off")]}


def said(ledger: Ledger) -> list[str]:
    return [run.arguments["what"] for run in ledger.runs(Say)]


def test_a_follow_up_comes_with_the_success_of_its_run(ledger: Ledger) -> None:
    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    assert said(ledger) == []

    ledger.drain()

    assert said(ledger) == ["yes"]
    say = ledger.runs(Say)[0]
    assert (say.parent_id, say.root_id, say.state) == (run_id, run_id, RunState.SUCCEEDED)


@pytest.mark.parametrize("way", ["exhausted", "expired", "unknown_kind", "poison_crash", "poison_lost", "gave_up"])
def test_a_follow_up_is_enqueued_whatever_dead_letters_the_run(ledger: Ledger, way: str) -> None:
    expires = HOUR if way == "expired" else None
    delay = DAY if way in ("expired", "unknown_kind") else None
    run_id = FollowedOrder().enqueue(expires=expires, delay=delay, **FOLLOW).id  # type: ignore[arg-type]
    if way == "exhausted":
        ledger.fail(FollowedOrder, times=2)
    elif way == "gave_up":
        ledger.fail(FollowedOrder, jobs.GiveUp("no"))
    elif way == "poison_crash":
        ledger.crash(FollowedOrder, times=9)
    elif way == "poison_lost":
        with ledger.app.database.write() as connection:
            connection.execute(text("update job_runs set abandonments = 2"))
        from jobs.ledger.runs.claim import claim as verb

        with ledger.app.database.write() as connection:
            verb(connection, [run_id], kinds=["FollowedOrder"], worker="w", lease=HOUR)
        ledger.advance(DAY)
        with ledger.app.database.write() as connection:
            sweep.rescue(connection, poison_after=3)
    elif way == "unknown_kind":
        ledger.advance(2 * DAY)
        with ledger.app.database.write() as connection:
            sweep.dead_letter_unknown_kinds(connection, ["Say"], wait=HOUR)
    ledger.drain(advance=2 * DAY)

    assert jobs.find(run_id).state is RunState.DEAD
    assert said(ledger) == ["dead"]


def test_a_follow_up_comes_when_a_waiting_run_is_cancelled(ledger: Ledger) -> None:
    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]

    jobs.cancel(run_id)

    assert said(ledger) == ["off"]


def test_a_follow_up_comes_when_a_claimed_run_that_was_cancelled_is_given_back(ledger: Ledger) -> None:
    from jobs.ledger.runs.claim import claim as verb
    from jobs.ledger.runs.give_back import give_back

    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    with ledger.app.database.write() as connection:
        [held] = verb(connection, [run_id], kinds=["FollowedOrder"], worker="w", lease=HOUR)
    jobs.cancel(run_id)

    with ledger.app.database.write() as connection:
        give_back(connection, [(run_id, held.token)])

    assert said(ledger) == ["off"]


def test_a_follow_up_comes_once_however_often_its_run_is_replayed(ledger: Ledger) -> None:
    from jobs.ledger.runs.replay import reopen

    ledger.fail(FollowedOrder, jobs.GiveUp("no"), times=2)
    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    ledger.drain()
    for _ in range(2):
        with ledger.app.database.write() as connection:
            reopen(connection, [run_id])
        ledger.drain()

    assert sorted(said(ledger)) == ["dead", "yes"]


def test_an_end_in_a_transaction_that_rolls_back_enqueues_no_follow_up(ledger: Ledger) -> None:
    from jobs.ledger.runs.cancel import cancel

    run_id = FollowedOrder().enqueue(**FOLLOW).id  # type: ignore[arg-type]
    with ledger.app.database.engine.connect() as connection:
        cancel(connection, run_id)
        connection.rollback()

    assert said(ledger) == []
    with ledger.app.database.read() as connection:
        found = finding.find_run(connection, run_id)
    assert found is not None
    assert found.state is RunState.QUEUED


# -- progress, lineage, deploys, waiting


def test_progress_is_read_by_whoever_asks(ledger: Ledger) -> None:
    seen: list[Any] = []

    class Exporting(Job):
        def perform(self) -> None:
            for n in range(1, 101):
                self.run.progress(n, 100, "rows")
                seen.append(jobs.find(self.run.id).progress)

    performed = ledger.perform(Exporting())

    assert seen[0] == {"done": 1, "total": 100, "message": "rows"}
    assert seen[1] == seen[0]
    assert performed.run.progress["done"] == 100


def test_a_step_that_is_cancelled_before_its_call_leaves_no_doubt(ledger: Ledger) -> None:  # K.2
    called: list[int] = []

    class Impatient(Job):
        async def perform(self) -> None:
            async def call() -> None:
                called.append(1)

            with ledger.app.database.write() as connection:
                # The step's intent waits for this.
                connection.execute(text("update job_runs set progress = null where id = :id"), {"id": self._stored()})
                step = asyncio.create_task(self.run.once_async("call", call, if_unknown="stop"))
                await asyncio.sleep(0.2)
                step.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([step])
            assert step.cancelled()

        def _stored(self) -> Any:
            return self.run.id if ledger.app.database.dialect == "postgresql" else self.run.id.hex

    performed = ledger.perform(Impatient())

    assert performed.outcome is Outcome.SUCCEEDED
    assert called == []
    assert jobs.steps(performed.run.id) == []


def test_children_know_their_parent_and_the_root_of_it_all(ledger: Ledger) -> None:
    class Leaf(Job):
        def perform(self) -> None: ...

    class Branch(Job):
        def perform(self) -> None:
            Leaf().enqueue()

    class Root(Job):
        def perform(self) -> None:
            jobs.enqueue_many([Branch(), Branch()])

    with jobs.correlate("request-1"):
        root = Root().enqueue().id
    ledger.drain()

    branches, leaves = ledger.runs(Branch), ledger.runs(Leaf)
    assert [run.parent_id for run in branches] == [root, root]
    assert [run.parent_id for run in leaves] == [run.id for run in branches]
    assert {run.root_id for run in leaves} == {root}
    assert {run.correlation_id for run in leaves} == {"request-1"}


def test_arguments_of_an_earlier_version_are_brought_up(ledger: Ledger, request: pytest.FixtureRequest) -> None:
    class Greet(Job):
        name: str

        def perform(self) -> None: ...

    Greet(name="Ada Lovelace").enqueue()
    registry.forget("Greet")
    request.addfinalizer(lambda: registry.forget("Greeting"))

    class Greeting(Job, kind="Greeting", aliases=("Greet",), version=2):
        first: str
        last: str

        @classmethod
        def upcast(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
            first, _, last = arguments["name"].partition(" ")
            return {"first": first, "last": last}

        def perform(self) -> str:
            return self.last

    assert [one.result() for one in ledger.drain()] == ["Lovelace"]


def test_arguments_that_do_not_fit_make_the_run_dead_and_name_the_field(ledger: Ledger) -> None:
    run_id = Note(n=1).enqueue().id
    with ledger.app.database.write() as connection:
        connection.execute(text("""update job_runs set arguments = '{"n": "many"}'"""))

    performed = ledger.perform(run_id)

    assert (performed.run.state, performed.run.cause) == (RunState.DEAD, Cause.BAD_ARGUMENTS)
    assert "n:" in (performed.run.error_message or "")


def test_an_upcast_that_fails_makes_the_run_dead(ledger: Ledger) -> None:
    run_id = Note(n=1).enqueue().id
    registry.forget("Note")

    class Noted(Job, kind="Noted", aliases=("Note",), version=2):
        m: int

        @classmethod
        def upcast(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
            return {"m": arguments["no such field"]}

        def perform(self) -> None: ...

    try:
        assert ledger.perform(run_id).run.cause is Cause.BAD_ARGUMENTS
    finally:
        registry.forget("Noted")
        registry.register(Note, kind="Note")


def test_waiting_for_a_run_has_a_limit(ledger: Ledger) -> None:
    run_id = Note(n=1).enqueue().id

    with pytest.raises(jobs.NotEnded):
        jobs.wait(run_id, limit=timedelta(milliseconds=50))
    with pytest.raises(jobs.NotEnded):
        asyncio.run(jobs.wait_async(run_id, limit=timedelta(milliseconds=50)))
    ledger.drain()
    assert jobs.wait(run_id, limit=timedelta(seconds=1)).state is RunState.SUCCEEDED
    assert asyncio.run(jobs.wait_async(run_id, limit=HOUR)).id == run_id
    assert [one.attempt for one in asyncio.run(jobs.attempts_async(run_id))] == [1]
    waiting = Note(n=2).enqueue(delay=HOUR).id
    assert asyncio.run(jobs.cancel_async(waiting, reason="enough")) is RunState.CANCELLED


def test_an_async_session_enqueues_with_its_own_commit(ledger: Ledger, tmp_path: Path) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    url = ledger.app.database.url
    driver = "sqlite+aiosqlite" if ledger.app.database.dialect == "sqlite" else "postgresql+psycopg"

    async def main() -> list[int]:
        engine = create_async_engine(url.set(drivername=driver))
        counts = []
        async with AsyncSession(engine) as session:
            await Note(n=1).enqueue_async(session=session, key="one")
            await jobs.enqueue_many_async([Note(n=2), Note(n=3)], session=session)
            counts.append(len(ledger.runs()))
            await session.commit()
            counts.append(len(ledger.runs()))
            with pytest.raises(jobs.KeyConflict):
                await Note(n=9).enqueue_async(session=session, key="one")
            await Note(n=4).enqueue_async(session=session)
            await session.rollback()
        counts.append(len(ledger.runs()))
        await engine.dispose()
        found = await jobs.find_async(ledger.runs()[0].id)
        assert found.key == "one"
        return counts

    assert asyncio.run(main()) == [0, 3, 3]
    assert sqlite3.threadsafety >= 1
