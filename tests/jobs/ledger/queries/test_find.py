"""Find and reports: what people read of the ledger."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from jobs.errors import Ambiguous, NotFound
from jobs.ledger import workers
from jobs.ledger.queries import find, reports
from jobs.states import Outcome, RunState
from tests.book import BOOM, SECOND, new_run


def page(book, **given):
    with book.database.read() as connection:
        return [one.id for one in find.list_runs(connection, **given)]


def resolve(book, text):
    with book.database.read() as connection:
        return find.resolve_id(connection, text)


class TestLists:
    def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(self, book):
        runs = [new_run() for _ in range(25)]
        book.insert(runs)

        pages, before = [], None
        while rows := page(book, before=before, limit=10):
            pages.append(rows)
            before = rows[-1]

        assert [len(one) for one in pages] == [10, 10, 5]
        assert [one for rows in pages for one in rows] == sorted((run.id for run in runs), reverse=True)

    def test_what_arrives_meanwhile_does_not_shift_the_next_page(self, book):
        book.insert(runs := [new_run() for _ in range(4)])
        first = page(book, limit=2)
        book.insert([new_run()])

        assert page(book, before=first[-1], limit=2) == [runs[1].id, runs[0].id]

    def test_filters_are_joined_by_and(self, book):
        dead, _ = book.bring(RunState.DEAD, queue="a")
        waiting = book.enqueue(queue="a")
        other = book.enqueue(queue="a", kind="Other")
        elsewhere = book.enqueue(queue="b")

        assert page(book, queue="a") == [other, waiting, dead]
        assert page(book, queue="a", kind="Mail") == [waiting, dead]
        assert page(book, kind="Mail", states=[RunState.DEAD, RunState.RUNNING]) == [dead]
        assert page(book, states=[RunState.QUEUED]) == [elsewhere, other, waiting]
        assert page(book, kind="Nothing") == []

    def test_purged_runs_are_left_out_and_found_by_id(self, book):
        run_id, _ = book.bring(RunState.DEAD)
        book.change(run_id, deleted_at=book.now)

        assert page(book) == []
        assert book.run(run_id).deleted_at == book.now

    def test_a_page_is_limited_whatever_was_asked_for(self, book):
        book.insert([new_run() for _ in range(500)])
        book.insert([new_run() for _ in range(510)])

        assert len(page(book, limit=10_000)) == find.MAX_PAGE

    def test_of_many_attempts_the_last_are_listed_in_order(self, book):
        (held,) = book.claim(run_id := book.enqueue())
        for _ in range(5):
            book.end(held, Outcome.SNOOZED)
            (held,) = book.claim(run_id)

        with book.database.read() as connection:
            rows = find.list_attempts(connection, run_id, limit=3)

        assert [one.attempt for one in rows] == [3, 4, 5]
        assert book.attempts(uuid4()) == []


class TestIds:
    BASE = "0199aaaa-0000-7000-8000-0000000000"

    def insert(self, book, *tails):
        ids = [UUID(self.BASE + tail) for tail in tails]
        book.insert([new_run(id=one) for one in ids])
        return ids

    @pytest.mark.parametrize("length", [6, 8, 20, 31])
    def test_a_unique_end_of_an_id_is_enough(self, book, length):
        one, _ = self.insert(book, "01", "02")

        assert resolve(book, one.hex[-length:]) == one

    @pytest.mark.parametrize("length", [7, 12, 31])
    def test_a_unique_beginning_of_an_id_is_enough(self, book, length):
        one = UUID("0199bbbb-0000-7000-8000-000000000001")
        book.insert([new_run(id=one), new_run(id=UUID("0199aaaa-0000-7000-8000-000000000009"))])

        assert resolve(book, one.hex[:length]) == one

    @pytest.mark.parametrize("write", [str, lambda one: one.hex.upper(), lambda one: f"  {one}\n"])
    def test_a_whole_id_is_read_however_it_is_written(self, book, write):
        one, _ = self.insert(book, "01", "02")

        assert resolve(book, write(one)) == one

    def test_the_end_of_an_id_may_contain_the_hyphen(self, book):
        one, _ = self.insert(book, "01", "02")

        assert resolve(book, str(one)[-15:]) == one

    def test_an_ambiguous_id_names_those_it_may_mean(self, book):
        ids = self.insert(book, "01", "02", "03")

        with pytest.raises(Ambiguous) as caught:
            resolve(book, "0199aaaa")

        assert set(caught.value.matches) == set(map(str, ids))

    @pytest.mark.parametrize(
        "text", ["", "12345", "zzzzzzzz", "%%%%%%%%", "______", "0" * 33, "'; drop table", "é" * 8]
    )
    def test_an_invalid_id_is_not_found(self, book, text):
        self.insert(book, "01")

        with pytest.raises(NotFound, match="is not a run id"):
            resolve(book, text)

    @pytest.mark.parametrize("text", ["abcdef", "ffffffffffff", "b92ea9aa-2cf8-48b3-b36e-28544d3ece6e"])
    def test_an_id_that_no_run_has_is_not_found(self, book, text):
        self.insert(book, "01")

        with pytest.raises(NotFound, match="There is no run"):
            resolve(book, text)


class TestReports:
    def test_a_queue_is_counted_by_what_its_runs_wait_for(self, book):
        for _ in range(2):
            book.enqueue(queue="a")
        book.enqueue(queue="a", delay_seconds=60)
        retried = book.start(queue="a")
        book.end(retried, Outcome.FAILED, delay=60, failure=BOOM)
        book.start(queue="a")
        book.bring(RunState.DEAD, queue="a")
        book.bring(RunState.SUCCEEDED, queue="a")
        book.enqueue(queue="b", run_at=book.now - 30 * SECOND)
        book.bring(RunState.SUCCEEDED, queue="c")
        book.pause("b")
        book.step(10)

        with book.database.read() as connection:
            rows = {one.queue: one for one in reports.queue_counts(connection, now=book.now)}

        a, b = rows["a"], rows["b"]
        assert set(rows) == {"a", "b"}
        assert (a.ready, a.scheduled, a.retrying, a.running, a.dead) == (2, 1, 1, 1, 1)
        assert (a.oldest_seconds, a.is_paused) == (10, False)
        assert (b.ready, b.oldest_seconds, b.is_paused) == (1, 40, True)

    def test_runs_are_counted_by_state_without_the_purged(self, book):
        for state in RunState:
            book.bring(state)
        gone, _ = book.bring(RunState.DEAD)
        book.change(gone, deleted_at=book.now)
        book.enqueue(kind="Other")

        with book.database.read() as connection:
            assert reports.count_by_state(connection) == {**dict.fromkeys(RunState, 1), RunState.QUEUED: 2}
            assert reports.count_by_state(connection, kind="Other") == {RunState.QUEUED: 1}

    def test_paused_queues_are_those_paused_at_this_moment(self, book):
        book.pause("now")
        book.pause("briefly", until=book.now + SECOND)

        with book.database.read() as connection:
            assert reports.paused_queues(connection, now=book.now) == {"now", "briefly"}
            assert reports.paused_queues(connection, now=book.now + SECOND) == {"now"}


class TestWorkers:
    def register(self, book, name, **given):
        with book.database.write() as connection:
            values = {"host": "h", "pid": 1, "version": "1", "queues": ["a"], "kinds": ["Mail"], "threads": 8}
            workers.register(connection, name, **{**values, **given}, now=book.now)

    def live(self, book):
        with book.database.read() as connection:
            return [one.name for one in workers.live(connection, now=book.now)]

    def test_a_worker_lives_as_long_as_it_is_seen(self, book):
        self.register(book, "w1")
        self.register(book, "w2")
        book.step(50)
        with book.database.write() as connection:
            workers.see(connection, "w1", busy=3, now=book.now)
        book.step(50)

        assert self.live(book) == ["w1"]

    def test_a_worker_reads_requests_of_operators_to_it_and_to_its_supervisor(self, book):
        for name in ("h/1/0.1-a", "h/1/1.2-b", "h/2/0.1-c"):
            self.register(book, name)
        with book.database.write() as connection:
            assert workers.request_roll(connection, ["h/1/0.1-a", "h/1/1.2-b", "gone"], now=book.now) == [
                "h/1/0.1-a",
                "h/1/1.2-b",
            ]
            assert workers.request_stop(connection, ["h/2/0.1-c"], now=book.now) == ["h/2/0.1-c"]

            heard = {
                name: workers.see(connection, name, busy=0, now=book.now)
                for name in ("h/1/0.1-a", "h/1/1.2-b", "h/2/0.1-c")
            }
            assert {name: one.roll_at for name, one in heard.items()} == {
                "h/1/0.1-a": book.now,
                "h/1/1.2-b": book.now,
                "h/2/0.1-c": None,
            }
            assert heard["h/2/0.1-c"].stop_at == book.now
            assert workers.see(connection, "gone", busy=0, now=book.now) == workers.WorkerRequest()

    def test_a_worker_that_signed_off_is_not_live_and_its_kinds_stay_known(self, book):
        self.register(book, "w1", kinds=["Mail", "Other"])
        self.register(book, "w2", kinds=["Third"])
        with book.database.write() as connection:
            workers.sign_off(connection, "w1", now=book.now)

        assert self.live(book) == ["w2"]
        with book.database.read() as connection:
            minute = timedelta(minutes=1)
            assert workers.kinds_known(connection, within=minute, now=book.now) == {"Mail", "Other", "Third"}
            assert workers.kinds_known(connection, within=minute, now=book.now + 2 * minute) == set()

    def test_old_rows_of_workers_are_deleted(self, book):
        self.register(book, "old")
        book.step(1000)
        self.register(book, "new")
        with book.database.write() as connection:
            assert workers.forget_old(connection, after=timedelta(seconds=900), now=book.now) == 1

        assert self.live(book) == ["new"]
