"""Claims by way of Redis: what it names wrongly goes back, and the ledger serves while it is away."""

from __future__ import annotations

import signal
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs import Limit, boot, enqueue_many
from jobs.app import App
from jobs.client.job import Job
from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.definition.limits import limited_kinds
from jobs.ledger.runs.claim import claim
from jobs.upkeep.reconcile import reconcile
from tests.waiting import wait_until
from worker.exchange import ready_source
from worker.exchange.ready_source import ReadySource
from worker.exchange.source import LedgerSource
from worker.exchange.wakeups import PollingWakeup


class SourceNote(Job, queue="notes"):
    text: str = ""

    def perform(self) -> None:
        pass


class SourceLight(Job, queue="notes"):
    """Looked for apart, as jobs are that take no thread."""

    async def perform(self) -> None:
        pass


class SourceForeign(Job, queue="notes"):
    def perform(self) -> None:
        pass


KINDS = ("SourceNote",)
ALL = ("SourceNote", "SourceLight")


@pytest.fixture
def app(pg_database, redis_url, make_app, monkeypatch) -> App:
    made = make_app(pg_database, redis_url=redis_url)
    monkeypatch.setattr(boot, "_app", made)
    made.ready.mark_intact()
    return made


@pytest.fixture
def losses():
    return []


@pytest.fixture
def source(app, losses):
    ledger = LedgerSource(app, queues=["notes"], kinds=KINDS, worker="w", wakeup=PollingWakeup(app))
    return ReadySource(app, app.ready, ledger, kinds=KINDS, worker="w", on_loss=lambda: losses.append(1))


def claim_all(source, count, *, seconds=60.0):
    claims = []
    until = time.monotonic() + seconds
    while len(claims) < count and time.monotonic() < until:
        claims += source.claim(count - len(claims), wait_seconds=0.2)
    return [one.run_id for one in claims]


def test_an_id_named_too_early_goes_back_until_it_is_due(source, app):
    enqueued = SourceNote().enqueue(delay=timedelta(seconds=2))
    app.ready.wipe()
    from jobs.ready import ReadyEntry

    app.ready.add([ReadyEntry(enqueued.id, "notes")])

    assert source.claim(5, wait_seconds=0.1) == []
    assert claim_all(source, 1) == [enqueued.id]


def test_a_run_of_a_kind_unknown_here_goes_back_for_others(source, app):
    enqueued = SourceForeign().enqueue()

    assert source.claim(5, wait_seconds=0.3) == []
    assert wait_until(lambda: app.ready.take(["notes"], 5, wait_seconds=0).runs, seconds=60) == (
        (enqueued.id, "notes"),
    )


def test_a_search_for_some_kinds_leaves_the_others_in_their_places(app):
    """Taken and put back they would be away for a moment: a free thread elsewhere would take what comes after them."""
    ledger = LedgerSource(app, queues=["notes"], kinds=ALL, worker="w", wakeup=PollingWakeup(app))
    source = ReadySource(app, app.ready, ledger, kinds=ALL, worker="w", on_loss=lambda: None)
    urgent = SourceNote().enqueue(priority=-10).id
    others = [one.id for one in enqueue_many([SourceNote() for _ in range(1200)])]
    light = [one.id for one in enqueue_many([SourceLight() for _ in range(5)])]

    found = []

    def look():
        found.extend(one.run_id for one in source.claim(2, wait_seconds=0.0, kinds=("SourceLight",)))
        return len(found) == 5

    assert wait_until(look, seconds=60)
    assert found == light
    assert source.claim(9, wait_seconds=0.1, kinds=("SourceLight",)) == []
    taken = app.ready.take(["notes"], 2000, wait_seconds=0).runs
    assert [run_id for run_id, _ in taken] == [urgent, *others]


def test_a_search_for_some_kinds_claims_no_more_than_asked_for(app):
    ledger = LedgerSource(app, queues=["notes"], kinds=ALL, worker="w", wakeup=PollingWakeup(app))
    source = ReadySource(app, app.ready, ledger, kinds=ALL, worker="w", on_loss=lambda: None)
    light = [one.id for one in enqueue_many([SourceLight() for _ in range(9)])]

    claimed = [[one.run_id for one in source.claim(4, wait_seconds=0.0, kinds=("SourceLight",))] for _ in range(3)]

    assert claimed == [light[:4], light[4:8], light[8:]]


def test_an_id_of_a_run_that_another_has_is_forgotten(source, app):
    enqueued = SourceNote().enqueue()
    with app.database.write() as connection:
        claim(connection, [enqueued.id], kinds=KINDS, worker="other", lease=timedelta(seconds=30))

    assert source.claim(5, wait_seconds=0.1) == []
    assert app.ready.take(["notes"], 5, wait_seconds=0).runs == ()


def test_without_redis_enqueue_and_claims_continue(source, redis_server):
    redis_server.stop(signal.SIGKILL)
    try:
        ids = [SourceNote().enqueue().id for _ in range(20)]

        assert sorted(claim_all(source, 20)) == sorted(ids)
    finally:
        redis_server.start()


def test_a_frozen_redis_keeps_only_one_enqueue_waiting(source, app, redis_server, monkeypatch):
    redis_server.send(signal.SIGSTOP)
    try:
        SourceNote().enqueue()
        asked, add = [], app.ready._index.add
        monkeypatch.setattr(app.ready._index, "add", lambda *given, **how: asked.append(1) or add(*given, **how))
        for _ in range(10):
            SourceNote().enqueue()

        assert not asked, "it waits for no answer"
        assert len(claim_all(source, 11)) == 11
    finally:
        redis_server.send(signal.SIGCONT)


def test_redis_is_used_again_once_it_is_back(source, app, redis_server):
    redis_server.stop(signal.SIGKILL)
    SourceNote().enqueue()
    assert len(claim_all(source, 1)) == 1
    redis_server.start()

    wait_until(lambda: not app.ready.is_down, seconds=60)
    enqueued = SourceNote().enqueue()

    assert claim_all(source, 1) == [enqueued.id]


def test_a_wiped_index_is_reported_and_rebuilt(source, app, losses):
    ids = [one.id for one in enqueue_many([SourceNote() for _ in range(2500)])]
    app.ready.wipe()

    wait_until(lambda: source.claim(1, wait_seconds=0.1) or losses, seconds=60)
    reconcile(app)

    assert app.ready.is_intact()
    assert sorted(claim_all(source, 2500)) == sorted(ids)


def test_ids_taken_while_the_ledger_is_down_are_claimed_when_it_is_back(source, app, pg_server):
    enqueued = SourceNote().enqueue()
    pg_server.stop(signal.SIGQUIT)
    try:
        from jobs.errors import ServiceDown

        with pytest.raises(ServiceDown):
            source.claim(5, wait_seconds=0.2)
    finally:
        pg_server.start()

    def claimed():
        try:
            return source.claim(5, wait_seconds=0.1)
        except ServiceDown:
            return []

    assert [one.run_id for one in wait_until(claimed, seconds=60)] == [enqueued.id]


def test_a_paused_queue_keeps_its_runs_and_goes_on_later(source, app):
    from sqlalchemy import text

    enqueued = SourceNote().enqueue()
    with app.database.write() as connection:
        connection.execute(text("insert into job_queues (name, paused_at) values ('notes', now())"))
    assert source.claim(5, wait_seconds=0.1) == []
    assert source.claim(5, wait_seconds=0.1) == []
    with app.database.write() as connection:
        connection.execute(text("delete from job_queues"))

    assert claim_all(source, 1) == [enqueued.id]


def held(app):
    with app.database.read() as connection:
        return connection.scalars(select(JobRun.id).where(JobRun.hold.is_not(None))).all()


@pytest.fixture
def limited_kind():
    class SourceLimited(Job, queue="notes", limits=Limit(1)):
        def perform(self) -> None: ...

    yield SourceLimited
    registry.forget("SourceLimited")
    limited_kinds.pop("SourceLimited")


def test_runs_that_a_claim_parks_on_a_limit_are_not_looked_at_again(app, limited_kind, monkeypatch):
    """Whoever gives them a slot publishes them, so a look would cost a transaction for nothing."""
    ledger = LedgerSource(app, queues=["notes"], kinds=["SourceLimited"], worker="w", wakeup=PollingWakeup(app))
    source = ReadySource(app, app.ready, ledger, kinds=["SourceLimited"], worker="w", on_loss=lambda: None)
    looked_at: list[object] = []
    look = ready_source.unclaimed
    monkeypatch.setattr(ready_source, "unclaimed", lambda *given: looked_at.extend(given[1]) or look(*given))
    ids = [one.id for one in enqueue_many([limited_kind() for _ in range(3)])]

    assert claim_all(source, 1) == ids[:1]
    assert wait_until(lambda: not source.claim(5, wait_seconds=0.1) and len(held(app)) == 2, seconds=60)

    assert looked_at == []
    assert app.ready.take(["notes"], 5, wait_seconds=0).runs == ()
