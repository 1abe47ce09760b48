"""Importing: a real RedisBroker fills a real Valkey; what it holds moves into the ledger, each message once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis
from sqlalchemy import select

from admin_cli import main
from jobs.app import App
from jobs.database.models import JobRun, OperatorAction
from jobs.dramatiq import LedgerBroker
from jobs.dramatiq.importing import Imported, import_queues
from jobs.operations.audit.operator import Operator
from jobs.ready.dramatiq_queues import OldQueues
from tests.conftest import MakeApp
from tests.jobs.dramatiq.broker_runs import JOIN
from tests.jobs.dramatiq.conftest import StartWorker


@pytest.fixture
def old_url(redis_url: str) -> Iterator[str]:
    """Another database of the same server than the ready index's."""
    url = redis_url.removesuffix("/0") + "/3"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def old(old_url: str) -> RedisBroker:
    """A RedisBroker with the actors ``greet`` and ``bad``."""
    made = RedisBroker(url=old_url)

    @dramatiq.actor(broker=made, queue_name="mail", priority=4, max_retries=2)
    def greet(name: str) -> None: ...

    @dramatiq.actor(broker=made, max_retries=1, min_backoff=1, max_backoff=1)
    def bad(name: str) -> None:
        raise ValueError(f"no {name}")

    return made


@pytest.fixture
def new(broker: LedgerBroker) -> LedgerBroker:
    """The same actors on a LedgerBroker; ``greeted`` is what they were called with."""
    broker.greeted = []  # type: ignore[attr-defined]

    @dramatiq.actor(queue_name="mail", priority=4, max_retries=2)
    def greet(name: str) -> None:
        broker.greeted.append(name)  # type: ignore[attr-defined]

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
    def bad(name: str) -> None:
        broker.greeted.append(f"bad {name}")  # type: ignore[attr-defined]

    return broker


def import_all(new: LedgerBroker, url: str, **how: Any) -> Imported:
    queues = OldQueues(url)
    try:
        return import_queues(new.app, new, queues, Operator("test"), **how)
    finally:
        queues.close()


def runs(app: App) -> list[Any]:
    with app.database.read() as connection:
        return list(connection.execute(select(JobRun).order_by(JobRun.id)).mappings())


def keys_with_messages(url: str) -> list[bytes]:
    """Old messages, wherever they are; a heartbeat is none."""
    with redis.Redis.from_url(url) as client:
        return [key for key in client.keys("dramatiq:*") if b"__heartbeats__" not in key]


def test_waiting_and_delayed_messages_move_in_their_order_and_are_performed(
    old: RedisBroker, old_url: str, new: LedgerBroker, start_worker: StartWorker
) -> None:
    for name in ("ann", "bob", "cid"):
        old.get_actor("greet").send(name)
    later = old.get_actor("greet").send_with_options(args=("dan",), delay=3_600_000)

    done = import_all(new, old_url)

    assert (dict(done.messages), dict(done.delayed), done.total, done.refused) == ({"mail": 3}, {"mail": 1}, 4, [])
    assert keys_with_messages(old_url) == []
    delayed = next(run for run in runs(new.app) if run["arguments"]["args"] == ["dan"])
    assert (delayed["priority"], delayed["run_at"]) == (4, datetime.fromtimestamp(later.options["eta"] / 1000, UTC))
    start_worker()
    wait(lambda: len(new.greeted) == 3)  # type: ignore[attr-defined]
    assert sorted(new.greeted) == ["ann", "bob", "cid"]  # type: ignore[attr-defined]
    with new.app.database.read() as connection:
        assert connection.execute(select(OperatorAction.verb, OperatorAction.done)).one() == ("import", 4)


def test_dead_letters_become_dead_runs_that_can_be_replayed(
    old: RedisBroker, old_url: str, new: LedgerBroker, start_worker: StartWorker
) -> None:
    worker = dramatiq.Worker(old, worker_timeout=50, worker_threads=1)
    worker.start()
    old.get_actor("bad").send("luck")
    old.join("default", timeout=JOIN)
    worker.join()
    worker.stop()

    done = import_all(new, old_url)

    assert dict(done.dead) == {"default": 1}
    (run,) = runs(new.app)
    assert (run["state"], run["cause"], run["attempt"]) == ("dead", "exhausted", 0)
    assert (run["error_type"], run["error_message"]) == ("ValueError", "no luck")
    assert datetime.now(UTC) - run["state_at"] < timedelta(minutes=1)
    from jobs.ledger.runs.replay import reopen

    with new.app.database.write() as connection:
        reopen(connection, [run["id"]])
    start_worker()
    new.join("default", timeout=JOIN)
    assert new.greeted == ["bad luck"]  # type: ignore[attr-defined]


def test_a_second_import_and_one_that_was_killed_record_nothing_twice(
    old: RedisBroker, old_url: str, new: LedgerBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        old.get_actor("greet").send(str(number))
    monkeypatch.setattr("jobs.dramatiq.importing.BATCH", 3)

    def die(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OldQueues, "drop", die)  # Recorded, and not yet forgotten in Redis.
        with pytest.raises(KeyboardInterrupt):
            import_all(new, old_url)
    assert len(runs(new.app)) == 3
    done = import_all(new, old_url)

    assert (done.total, done.known_already) == (4, 3)
    assert sorted(run["arguments"]["args"][0] for run in runs(new.app)) == [str(number) for number in range(7)]
    assert import_all(new, old_url).total == 0
    assert keys_with_messages(old_url) == []


def test_a_dry_run_counts_and_touches_nothing(old: RedisBroker, old_url: str, new: LedgerBroker) -> None:
    old.get_actor("greet").send("ann")
    old.get_actor("greet").send_with_options(args=("dan",), delay=3_600_000)
    before = sorted(keys_with_messages(old_url))

    done = import_all(new, old_url, dry_run=True)

    assert (dict(done.messages), dict(done.delayed)) == ({"mail": 1}, {"mail": 1})
    assert runs(new.app) == []
    assert sorted(keys_with_messages(old_url)) == before


def test_what_a_live_worker_has_fetched_stays_with_it_and_what_a_dead_one_had_is_imported(
    old: RedisBroker, old_url: str, new: LedgerBroker
) -> None:
    for name in ("ann", "bob"):
        old.get_actor("greet").send(name)
    consumer = old.consume("mail", prefetch=1, timeout=1)
    assert next(consumer) is not None

    first = import_all(new, old_url)
    with redis.Redis.from_url(old_url) as client:
        client.zadd("dramatiq:__heartbeats__", {old.broker_id: current_millis() - 61_000})
    second = import_all(new, old_url)

    assert (dict(first.messages), dict(first.fetched)) == ({"mail": 1}, {"mail": 1})
    assert (dict(second.messages), dict(second.fetched)) == ({"mail": 1}, {})
    assert sorted(run["arguments"]["args"][0] for run in runs(new.app)) == ["ann", "bob"]


def test_what_cannot_be_read_or_held_is_refused_and_stays_in_its_place(
    old: RedisBroker, old_url: str, new: LedgerBroker
) -> None:
    old.declare_queue("mail")
    old.do_enqueue("mail", "garbage", b"\x80\x04not json")
    old.get_actor("greet").send("ann")
    old.do_enqueue("mail", "no-message", json.dumps({"hello": 1}).encode())
    old.get_actor("greet").send("nul \0")
    old.enqueue(dramatiq.Message("mail", "nobody", (), {}, {}))

    done = import_all(new, old_url)

    assert dict(done.messages) == {"mail": 2}
    assert dict(done.unknown_actors) == {"nobody": 1}
    assert [one["id"] for one in done.refused][:2] == ["garbage", "no-message"]
    assert "NUL" in done.refused[2]["why"]
    with redis.Redis.from_url(old_url) as client:
        left = client.lrange("dramatiq:mail", 0, -1)
        assert left[:2] == [b"garbage", b"no-message"]
        assert len(left) == 3
        assert not client.exists("dramatiq:mail.jobledger")
    assert len(import_all(new, old_url).refused) == 3


def test_a_retry_that_waits_keeps_its_count(old: RedisBroker, old_url: str, new: LedgerBroker) -> None:
    message = old.get_actor("greet").message("ann")
    message.options.update(retries=1, traceback="x", requeue_timestamp=1)
    old.enqueue(message, delay=60_000)

    import_all(new, old_url)

    (run,) = runs(new.app)
    assert run["arguments"]["options"]["retries"] == 1


def test_the_command_shows_what_it_would_do_then_does_it(
    old: RedisBroker, old_url: str, sqlite_url: str, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    make_app(sqlite_url)
    for name in ("ann", "bob"):
        old.get_actor("greet").send(name)
    command = ["--database-url", sqlite_url, "import-dramatiq", old_url]

    assert main.run([*command, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert said.out == "QUEUE\tMESSAGES\tDELAYED\tDEAD\tFETCHED\nmail\t2\t0\t0\t0\n"
    assert "2 messages would be moved" in said.err
    assert "no actor 'greet' here" in said.err
    assert main.run(command) == 2  # Nobody to ask.
    assert "add --yes" in capsys.readouterr().err
    assert main.run([*command, "--yes", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"][0]["messages"] == 2
    assert main.run([*command, "--yes"]) == 0
    assert "0 messages moved" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("http://localhost", 2, "is not the URL of a Redis server"),
        ("redis://localhost:1/0", 5, "Check that it runs and that REDIS_URL names it."),
        ("redis+sentinel://localhost/0", 2, "not supported"),
        ("", 2, "Give the URL of the old broker once"),
        ("--from amqp://localhost/", 2, "No actor names a queue"),
        (
            "--from amqp://guest:s3cret@localhost:port/ --queue mail",
            2,
            "cannot be read as the URL of a RabbitMQ server",
        ),
        ("amqp://guest:s3cret@127.0.0.1:1/ --queue mail", 5, "RabbitMQ at amqp://***@127.0.0.1:1/ cannot be reached"),
    ],
)
def test_a_url_without_a_broker_is_refused_in_one_line(
    url: str, code: int, says: str, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["--database-url", sqlite_url, "import-dramatiq", *url.split(), "--yes"]) == code

    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert "s3cret" not in said


def wait(fact: Any) -> None:
    from tests.waiting import wait_until

    assert wait_until(fact, seconds=60)


# K2.18
def test_messages_of_one_millisecond_keep_their_order(old: RedisBroker, old_url: str, new: LedgerBroker) -> None:
    messages = [old.actors["greet"].message(f"n{number}") for number in range(40)]
    for one in messages:
        old.enqueue(one.copy(message_timestamp=messages[0].message_timestamp))
    for one in messages:
        stamped = one.copy(message_timestamp=messages[0].message_timestamp, args=("later " + one.args[0],))
        old.enqueue(stamped, delay=60_000)

    import_all(new, old_url)

    with new.app.database.read() as connection:
        rows = connection.execute(select(JobRun).order_by(JobRun.priority, JobRun.run_at, JobRun.id)).mappings().all()
    called = [one["arguments"]["args"][0] for one in rows]
    assert called[:40] == [f"n{number}" for number in range(40)]
    assert sorted(called[40:]) == sorted(f"later n{number}" for number in range(40))


@pytest.mark.parametrize("score", ["+inf", "-inf", "1e300"])
def test_a_dead_letter_of_no_moment_is_named_and_the_others_move(
    score: str, old: RedisBroker, old_url: str, new: LedgerBroker
) -> None:
    with redis.Redis.from_url(old_url) as client:
        for number in range(3):
            message = old.actors["greet"].message(f"n{number}")
            client.hset("dramatiq:mail.XQ.msgs", f"id{number}", message.encode())
            client.zadd("dramatiq:mail.XQ", {f"id{number}": current_millis()})
        client.execute_command("ZADD", "dramatiq:mail.XQ", score, "id1")

    done = import_all(new, old_url)

    assert done.dead["mail"] == 2
    assert [(one["id"], "not a number of milliseconds" in one["why"]) for one in done.refused] == [("id1", True)]


def test_a_key_of_another_type_is_named_and_the_other_queues_move(
    old: RedisBroker, old_url: str, new: LedgerBroker
) -> None:
    old.actors["greet"].send("Ada")
    with redis.Redis.from_url(old_url) as client:
        client.hset("dramatiq:odd.msgs", "id", b"{}")
        client.set("dramatiq:odd", "text")
        client.set("dramatiq:odder.msgs", "text")

    done = import_all(new, old_url)

    assert done.messages == {"mail": 1}
    assert [(one["queue"], one["id"]) for one in done.refused] == [
        ("odd", "dramatiq:odd"),
        ("odder", "dramatiq:odder.msgs"),
    ]
    assert "is a string, but dramatiq stores a list there" in done.refused[0]["why"]


def test_a_message_stamped_with_no_moment_is_named_and_the_others_move(
    old: RedisBroker, old_url: str, new: LedgerBroker
) -> None:
    text = old.actors["greet"].message("Ada").encode().decode()
    stamped = json.dumps({**json.loads(text), "message_timestamp": float("inf")})
    with redis.Redis.from_url(old_url) as client:
        client.hset("dramatiq:mail.msgs", "id", stamped)
        client.rpush("dramatiq:mail", "id")
    old.actors["greet"].send("Bob")

    done = import_all(new, old_url)

    assert done.messages == {"mail": 1}
    assert [one["id"] for one in done.refused] == ["id"]
