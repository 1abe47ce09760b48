"""Importing: a real RedisBroker fills a real Valkey; what it holds moves into the ledger, each message once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy import select

from admin_cli import main
from jobs.database.models import OperatorAction
from jobs.dramatiq import LedgerBroker
from jobs.ready.dramatiq_queues import OldQueues
from tests.conftest import MakeApp
from tests.jobs.dramatiq.broker_runs import JOIN
from tests.jobs.dramatiq.conftest import StartWorker
from tests.jobs.dramatiq.old_broker import import_all, runs
from tests.jobs.dramatiq.old_broker import new as new
from tests.jobs.dramatiq.old_broker import old as old
from tests.jobs.dramatiq.old_broker import old_url as old_url


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
