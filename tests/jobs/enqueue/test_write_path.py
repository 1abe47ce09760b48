"""Enqueue in the caller's own transaction: the run exists when its owner commits, and only then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

import jobs
from jobs.app import App
from jobs.enqueue.write_path import enqueue_runs
from jobs.errors import ArgumentsRefused, EnqueueRefused, NotFound
from jobs.events import RunEnqueued
from jobs.ledger.queries import find
from tests.book import new_run

SECOND = timedelta(seconds=1)


class Send(jobs.Job, kind="enqueue.Send"):
    n: int = 0

    def perform(self) -> None: ...


@pytest.fixture
def engine(app: App):
    """The application's own engine on the ledger's database."""
    engine = create_engine(app.database.url)
    if app.database.dialect == "sqlite":
        # As SQLAlchemy's manual says: left alone, Python's driver begins nothing before a SAVEPOINT, whose
        # release is a commit then.
        event.listen(engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    yield engine
    engine.dispose()


@pytest.fixture
def told(app: App) -> list[RunEnqueued]:
    events: list[RunEnqueued] = []
    app.events.subscribe(RunEnqueued, events.extend)
    return events


def numbers(app: App) -> list[int]:
    with app.database.read() as connection:
        return sorted(run.arguments["n"] for run in find.list_runs(connection, limit=1000))


@pytest.mark.parametrize("how_many", [1, 3, 700])
class TestWithASession:
    def enqueue(self, session, how_many, *, first=0):
        if how_many == 1:
            return [Send(n=first).enqueue(session=session)]
        return jobs.enqueue_many([Send(n=first + n) for n in range(how_many)], session=session)

    def test_a_run_exists_and_is_announced_when_its_owner_commits(self, app, engine, told, how_many):
        with Session(engine) as session:
            enqueued = self.enqueue(session, how_many)
            assert told == []
            session.commit()

        assert numbers(app) == list(range(how_many))
        assert [one.run_id for one in told] == [one.id for one in enqueued]

    def test_a_rollback_leaves_no_run_and_announces_nothing(self, app, engine, told, how_many):
        with Session(engine) as session:
            self.enqueue(session, how_many)
            session.rollback()
            session.execute(text("select 1"))
            session.commit()

        assert numbers(app) == []
        assert told == []

    def test_a_released_savepoint_announces_nothing_before_the_commit(self, app, engine, told, how_many):
        with Session(engine) as session:
            with session.begin_nested():
                self.enqueue(session, how_many)
            assert told == []
            session.commit()

        assert numbers(app) == list(range(how_many))
        assert len(told) == how_many

    def test_a_rolled_back_savepoint_removes_only_its_own_runs(self, app, engine, how_many):
        with Session(engine) as session:
            self.enqueue(session, 1)
            inner = session.begin_nested()
            self.enqueue(session, how_many, first=1000)
            inner.rollback()
            session.commit()

        assert numbers(app) == [0]


def test_a_savepoint_released_in_a_transaction_that_rolls_back_announces_nothing(app, engine, told):
    with Session(engine) as session:
        with session.begin_nested():
            Send().enqueue(session=session)
        session.rollback()

    assert (numbers(app), told) == ([], [])


def test_each_commit_of_a_session_announces_its_own_runs(app, engine, told):
    with Session(engine) as session:
        first = Send(n=1).enqueue(session=session)
        session.commit()
        assert [one.run_id for one in told] == [first.id]
        second = Send(n=2).enqueue(session=session)
        session.commit()

    assert [one.run_id for one in told] == [first.id, second.id]


def test_a_session_on_another_database_is_refused(app, tmp_path):
    stranger = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with Session(stranger) as session, pytest.raises(EnqueueRefused, match="another database") as caught:
        Send().enqueue(session=session)

    assert "JOBS_DATABASE_URL" in (caught.value.hint or "")
    assert numbers(app) == []
    stranger.dispose()


def test_on_sqlite_a_transaction_that_began_by_reading_is_refused_clearly(sqlite_url, make_app, monkeypatch):
    from jobs import boot

    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    engine = create_engine(app.database.url)
    with Session(engine) as session:
        session.connection().exec_driver_sql("BEGIN DEFERRED")
        session.execute(text("select count(*) from job_runs")).all()
        Send(n=1).enqueue()  # Somebody else writes.

        with pytest.raises(EnqueueRefused, match="began with a read"):
            Send(n=2).enqueue(session=session)
        session.rollback()
    engine.dispose()

    assert numbers(app) == [1]


def test_after_a_refusal_the_callers_transaction_is_usable(app, engine):
    with Session(engine) as session:
        Send(n=1).enqueue(session=session)
        with pytest.raises(EnqueueRefused):
            Send(n=2).enqueue(session=session, priority=2000)
        session.commit()

    assert numbers(app) == [1]


class TestOptions:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"delay": timedelta(seconds=-1)}, "delay="),
            ({"delay": 5}, "delay="),
            ({"at": datetime(2030, 1, 1)}, "no time zone"),
            ({"at": "tomorrow"}, "aware datetime"),
            ({"delay": timedelta(1), "at": datetime.now(UTC)}, "exclude each other"),
            ({"priority": 1001}, "priority"),
            ({"priority": True}, "priority"),
            ({"priority": 1.0}, "priority"),
            ({"queue": ""}, "queue"),
            ({"queue": "a b"}, "queue"),
            ({"queue": "x" * 101}, "queue"),
            ({"expires": timedelta(0)}, "expires="),
            ({"expires": datetime(2030, 1, 1)}, "no time zone"),
            ({"expires": 3}, "aware datetime"),
            ({"tags": "word"}, "list of words"),
            ({"tags": ["x" * 101]}, "tag"),
            ({"tags": [""]}, "tag"),
            ({"tags": ["a\0b"]}, "tag"),
            ({"tags": [f"t{n}" for n in range(21)]}, "at most 20"),
            ({"tags": [3]}, "tag"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
    )
    def test_an_invalid_option_is_refused_and_nothing_is_written(self, sqlite_app, given, said):
        with pytest.raises(EnqueueRefused, match=said):
            Send().enqueue(**given)

        assert numbers(sqlite_app) == []

    def test_valid_options_are_stored(self, app):
        at = datetime(2099, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
        one = Send().enqueue(at=at, priority=-1000, queue="a.b:c-d", tags=["x", "é", "x"])

        run = jobs.find(one.id)
        assert (run.run_at, run.priority, run.queue, run.tags) == (at, -1000, "a.b:c-d", ["x", "é"])
        assert run.enqueued_by

    def test_a_moment_in_another_zone_is_the_same_moment(self, app):
        from zoneinfo import ZoneInfo

        at = datetime(2030, 7, 1, 12, tzinfo=ZoneInfo("Asia/Kathmandu"))

        assert jobs.find(Send().enqueue(at=at).id).run_at == at

    def test_spread_runs_are_evenly_spaced_and_in_order(self, app):
        answers = jobs.enqueue_many([Send(n=n) for n in range(4)], spread=timedelta(seconds=40))

        moments = [jobs.find(one.id).run_at for one in answers]
        gaps = [round((b - a).total_seconds(), 1) for a, b in pairwise(moments)]
        assert gaps == [10.0, 10.0, 10.0]

    def test_one_bad_job_of_many_refuses_them_all(self, sqlite_app):
        class Any_(jobs.Job, kind="enqueue.Any"):  # noqa: N801
            value: object

            def perform(self) -> None: ...

        with pytest.raises(ArgumentsRefused):
            jobs.enqueue_many([Any_(value=1), Any_(value="a\0"), Any_(value=2)])

        with sqlite_app.database.read() as connection:
            assert find.list_runs(connection) == []


@pytest.fixture
def sqlite_app(sqlite_url, make_app, monkeypatch) -> App:
    from jobs import boot

    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    return app


class TestReadingBack:
    def test_an_id_that_is_none_is_not_found(self, sqlite_app):
        with pytest.raises(jobs.NotFound, match="not a run id"):
            jobs.find("nonsense")

    def test_a_run_that_is_not_there_is_not_found(self, sqlite_app):
        with pytest.raises(jobs.NotFound):
            jobs.find("0199aaaa-0000-7000-8000-000000000001")

    def test_cancelling_what_has_ended_is_refused(self, sqlite_app):
        one = Send().enqueue()
        jobs.cancel(one.id)

        with pytest.raises(jobs.NotFound, match="no live run"):
            jobs.cancel(one.id)


@pytest.mark.parametrize(
    ("many", "terms"),
    [
        ([object()], {}),
        ([Send], {}),
        (Send(n=1), {}),
        (None, {}),
        ([Send(n=1)], {"spread": -SECOND}),
        ([Send(n=1)], {"spread": 3}),
        ([Send(n=1)], {"delay": 3}),
    ],
    ids=["no job", "a class", "one job", "None", "spread below zero", "spread of 3", "delay of 3"],
)
def test_an_invalid_job_in_a_list_is_refused_with_a_message(app, many, terms):
    with pytest.raises(EnqueueRefused):
        jobs.enqueue_many(many, **terms)


def test_many_may_come_from_a_generator(app):
    found = jobs.enqueue_many((Send(n=n) for n in range(3)), spread=SECOND)

    assert [one.created for one in found] == [True] * 3


@pytest.mark.parametrize("terms", [{"session": 5}, {"on_success": Send(n=1)}, {"on_dead": [7]}, {"on_dead": None}])
def test_a_wrong_session_or_list_of_jobs_is_refused_with_a_message(app, terms):
    with pytest.raises(EnqueueRefused):
        Send(n=1).enqueue(**terms)


@pytest.mark.parametrize("run_id", ["x", 5, None, b"x"])
def test_an_invalid_run_id_finds_no_run(app, run_id):
    with pytest.raises(NotFound, match="is not a run id"):
        jobs.find(run_id)


def test_a_key_that_a_live_run_holds_while_it_lives_is_not_held_for_ever(app: App) -> None:
    first, again = (new_run(key="k", hold_seconds=seconds, arguments_hash="h") for seconds in (0.0, None))
    enqueue_runs(app, [first])

    (found,) = enqueue_runs(app, [again])

    assert (found.id, found.created) == (first.id, False)
    with app.database.read() as connection:
        assert connection.scalar(text("select run_id from job_keys")) in (first.id, first.id.hex)
