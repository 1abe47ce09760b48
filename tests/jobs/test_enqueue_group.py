"""Callers that enqueue at the same moment share a commit, and each gets its own answer (R.1, R.2)."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

import jobs
from jobs.app import App
from jobs.enqueue_group import EnqueueGroup, _Call
from jobs.errors import LedgerRefused, ServiceDown
from jobs.ledger.queries import find
from jobs.ledger.records import NewRun
from tests.book import new_run
from tests.round_trips import count_round_trips
from tests.waiting import wait_until


class Send(jobs.Job, kind="commit_group.Send"):
    n: int = 0

    def perform(self) -> None: ...


class SendOnce(jobs.Job, kind="commit_group.SendOnce", unique=jobs.FOREVER):
    n: int = 0

    def idempotency_key(self) -> str:
        return str(self.n)

    def perform(self) -> None: ...


class Table:
    """Stands for the ledger: records each batch, and holds the first one up until it may go on."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_exist: list[bool] = []
        self.began = threading.Event()
        self.may_go_on = threading.Event()
        self.refuses: Callable[[Sequence[NewRun]], BaseException | None] = lambda runs: None

    def write(self, runs: Sequence[NewRun], may_exist: bool) -> None:
        if not self.began.is_set():
            self.began.set()
            assert self.may_go_on.wait(10)
        error = self.refuses(runs)
        if error is not None:
            raise error
        self.batches.append([run.arguments for run in runs])
        self.may_exist.append(may_exist)


@pytest.fixture
def table() -> Table:
    return Table()


def answer(future):
    """What a caller got: None, or its error."""
    return future.exception(timeout=60)


def enqueue_while_first_is_under_way(group: EnqueueGroup, table: Table, pool: ThreadPoolExecutor, names: Sequence[str]):
    """The first caller's write is held up; the others arrive, and wait."""
    calls = [pool.submit(group.enqueue, new_run(arguments=names[0]), table.write)]
    assert table.began.wait(60)
    calls += [pool.submit(group.enqueue, new_run(arguments=name), table.write) for name in names[1:]]
    assert wait_until(lambda: len(group._waiting) == len(names) - 1, seconds=60)
    return calls


def test_enqueues_during_a_commit_share_the_next_one(table):
    group = EnqueueGroup()
    with ThreadPoolExecutor(8) as pool:
        calls = enqueue_while_first_is_under_way(group, table, pool, "abcdef")
        table.may_go_on.set()
        assert [answer(call) for call in calls] == [None] * 6

    assert [sorted(batch) for batch in table.batches] == [['"a"'], ['"b"', '"c"', '"d"', '"e"', '"f"']]


def test_a_refused_run_fails_alone(table):
    group = EnqueueGroup()
    table.refuses = lambda runs: LedgerRefused("no") if any(run.arguments == '"c"' for run in runs) else None
    with ThreadPoolExecutor(8) as pool:
        calls = enqueue_while_first_is_under_way(group, table, pool, "abcd")
        table.may_go_on.set()
        answers = [answer(call) for call in calls]

    assert [type(one) for one in answers] == [type(None), type(None), LedgerRefused, type(None)]
    assert sorted(name for batch in table.batches for name in batch) == ['"a"', '"b"', '"d"']


def test_an_outage_fails_each_caller_with_its_own_error(table):
    group = EnqueueGroup()
    table.refuses = lambda runs: ServiceDown("away", hint="Wait.")
    with ThreadPoolExecutor(8) as pool:
        calls = enqueue_while_first_is_under_way(group, table, pool, "abc")
        table.may_go_on.set()
        answers = [answer(call) for call in calls]

    assert all(type(one) is ServiceDown and one.message == "away" and one.hint == "Wait." for one in answers)
    assert len({id(one) for one in answers}) == 3


def test_an_interrupted_leader_does_not_block_the_others(table):
    group = EnqueueGroup()
    interrupts = iter([KeyboardInterrupt()])
    table.refuses = lambda runs: next(interrupts, None) if len(runs) > 1 else None
    with ThreadPoolExecutor(8) as pool:
        calls = enqueue_while_first_is_under_way(group, table, pool, "abcd")
        table.may_go_on.set()
        answers = [answer(call) for call in calls]

    interrupted = [one for one in answers if isinstance(one, KeyboardInterrupt)]
    assert len(interrupted) == 1
    assert answers.count(None) == 3
    assert sorted(name for batch in table.batches for name in batch) == ['"a"', '"b"', '"c"', '"d"']
    assert table.may_exist[1:] == [True] * len(table.may_exist[1:]), "they may have been committed before"


def test_a_signal_handler_that_enqueues_does_not_wait_for_its_own_thread():
    group = EnqueueGroup()
    written: list[str] = []

    def write(runs: Sequence[NewRun], may_exist: bool) -> None:
        if runs[0].arguments == '"outer"':
            signal.raise_signal(signal.SIGUSR1)
        written.extend(run.arguments for run in runs)

    def handle(*_: object) -> None:
        group.enqueue(new_run(arguments="handler"), write)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        group.enqueue(new_run(arguments="outer"), write)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert written == ['"handler"', '"outer"']


def test_coroutines_and_threads_share_one_group(table):
    group = EnqueueGroup()

    async def coroutines() -> list[BaseException | None]:
        calls = [group.enqueue_async(new_run(arguments=name), table.write) for name in "abc"]
        return await asyncio.gather(*calls, return_exceptions=True)

    with ThreadPoolExecutor(8) as pool:
        calls = enqueue_while_first_is_under_way(group, table, pool, "xy")
        loop = pool.submit(asyncio.run, coroutines())
        assert wait_until(lambda: len(group._waiting) == 4, seconds=60)
        table.may_go_on.set()
        assert loop.result(60) == [None, None, None]
        assert [answer(call) for call in calls] == [None, None]

    assert [len(batch) for batch in table.batches] == [1, 4]


def test_a_cancelled_waiting_coroutine_affects_no_other(table):
    group = EnqueueGroup()

    async def cancel_one() -> None:
        first = asyncio.create_task(group.enqueue_async(new_run(arguments="a"), table.write))
        assert await asyncio.to_thread(table.began.wait, 60)
        second, third = (
            asyncio.create_task(group.enqueue_async(new_run(arguments=name), table.write)) for name in "bc"
        )
        await asyncio.sleep(0)
        second.cancel()
        table.may_go_on.set()
        await asyncio.wait_for(asyncio.gather(first, third), 60)
        assert second.cancelled()

    asyncio.run(cancel_one())

    assert sorted(name for batch in table.batches for name in batch) == ['"a"', '"b"', '"c"']


def test_a_bug_in_the_write_fails_its_coroutine_and_the_next_one_is_served():
    group = EnqueueGroup()
    written: list[str] = []

    def write(runs: Sequence[NewRun], may_exist: bool) -> None:
        if runs[0].arguments == '"bug"':
            raise ZeroDivisionError
        written.extend(run.arguments for run in runs)

    async def calls() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(group.enqueue_async(new_run(arguments="bug"), write), 60)
        await asyncio.wait_for(group.enqueue_async(new_run(arguments="next"), write), 60)

    asyncio.run(calls())

    assert written == ['"next"']


def test_each_run_of_many_threads_is_recorded_once(app: App):
    def some(thread: int) -> None:
        for n in range(10):
            Send(n=thread * 10 + n).enqueue()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))

    with app.database.read() as connection:
        assert sorted(run.arguments["n"] for run in find.list_runs(connection, limit=1000)) == list(range(80))


def test_each_run_of_many_coroutines_is_recorded_once(app: App):
    async def many() -> list[jobs.Enqueued]:
        return await asyncio.gather(*(Send(n=n).enqueue_async() for n in range(200)))

    answers = asyncio.run(many())

    assert len({one.id for one in answers}) == 200
    assert all(one.created for one in answers)
    with app.database.read() as connection:
        assert {run.id for run in find.list_runs(connection, limit=1000)} == {one.id for one in answers}


def test_a_run_that_was_committed_before_the_interrupt_is_not_recorded_twice(app: App):
    from jobs.enqueue.write_path import _write_plain

    run = Send(n=1).new_run(app)
    _write_plain(app, [run], False)
    _write_plain(app, [run, Send(n=2).new_run(app)], True)

    with app.database.read() as connection:
        assert sorted(one.arguments["n"] for one in find.list_runs(connection, limit=10)) == [1, 2]


@pytest.mark.parametrize(
    "how",
    ["enqueue", "enqueue_async", "enqueue with a key", "enqueue with a key for ever", "enqueue with follow-ups"],
)
def test_a_call_is_one_round_trip_to_postgresql(make_app, pg_database, monkeypatch, how):
    made = make_app(pg_database)
    monkeypatch.setattr("jobs.boot._app", made)
    numbers = itertools.count()

    def call() -> None:
        if how == "enqueue":
            Send().enqueue()
        elif how == "enqueue with a key":
            Send().enqueue(key=str(uuid4()))
        elif how == "enqueue with follow-ups":
            Send().enqueue(key=str(uuid4()), on_success=[Send(n=1)], on_dead=[Send(n=2)])
        elif how == "enqueue with a key for ever":
            SendOnce(n=next(numbers)).enqueue()
        else:
            asyncio.run(Send().enqueue_async())

    for _ in range(8):  # until the statement is prepared
        call()
    sent = count_round_trips(monkeypatch)
    call()

    assert len(sent) == 1, sent


def test_a_coroutine_in_the_batch_of_an_interrupted_caller_still_gets_its_answer(table: Table) -> None:
    table.may_go_on.set()
    interrupts = [KeyboardInterrupt()]
    table.refuses = lambda runs: interrupts.pop() if interrupts else None
    group = EnqueueGroup()

    async def wait_beside_an_interrupted_caller() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The thread of the coroutines is idle: the caller takes this call with its own.
        group._waiting.append(_Call(new_run(arguments="of a coroutine"), table.write, future))
        with pytest.raises(KeyboardInterrupt):
            group.enqueue(new_run(arguments="of a thread"), table.write)
        await asyncio.wait_for(future, 60)

    asyncio.run(wait_beside_an_interrupted_caller())

    assert [one for batch in table.batches for one in batch].count('"of a coroutine"') == 1
