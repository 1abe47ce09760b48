"""Importing from RabbitMQ: a real RabbitmqBroker fills a real server; each message moves once."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import dramatiq
import pika
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from sqlalchemy import select

from admin_cli import main
from jobs.database.models import JobRun
from jobs.dramatiq import LedgerBroker
from jobs.dramatiq.importing import Imported, import_queues
from jobs.dramatiq.rabbit_queues import RabbitQueues
from jobs.errors import ConfigurationError, ServiceDown
from jobs.operations.audit.operator import Operator
from tests.jobs.dramatiq.conftest import StartWorker
from tests.rabbit_server import RabbitServer, needs_rabbit
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, needs_rabbit]
NAMES = ("mail", "default", "never-declared")


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    with closing(RabbitServer()) as made:
        made.start()
        yield made


@pytest.fixture
def url(server: RabbitServer) -> str:
    server.start()
    with closing(pika.BlockingConnection(pika.URLParameters(server.url))) as connection:
        channel = connection.channel()
        for name in ("mail", "default"):
            for suffix in ("", ".DQ", ".XQ"):
                channel.queue_delete(name + suffix)
    return server.url


@pytest.fixture
def old(url: str) -> Iterator[RabbitmqBroker]:
    """A RabbitmqBroker with the actors ``greet`` and ``bad``."""
    made = RabbitmqBroker(url=url, confirm_delivery=True)

    @dramatiq.actor(broker=made, queue_name="mail", priority=4, max_retries=2)
    def greet(name: str) -> None: ...

    @dramatiq.actor(broker=made, max_retries=0)
    def bad(name: str) -> None:
        raise ValueError(f"no {name}")

    yield made
    made.close()


@pytest.fixture
def new(broker: LedgerBroker) -> LedgerBroker:
    """The same actors on a LedgerBroker; ``greeted`` is what they were called with."""
    broker.greeted = []  # type: ignore[attr-defined]

    @dramatiq.actor(queue_name="mail", priority=4, max_retries=2)
    def greet(name: str) -> None:
        broker.greeted.append(name)  # type: ignore[attr-defined]

    @dramatiq.actor(max_retries=0)
    def bad(name: str) -> None: ...

    return broker


def import_all(new: LedgerBroker, url: str, **how: Any) -> Imported:
    with closing(RabbitQueues(url, names=NAMES, clock=new.app.clock)) as queues:
        return import_queues(new.app, new, queues, Operator("test"), **how)


def runs(new: LedgerBroker) -> list[Any]:
    with new.app.database.read() as connection:
        return list(connection.execute(select(JobRun).order_by(JobRun.run_at)).mappings())


def left(old: RabbitmqBroker) -> dict[str, tuple[int, int, int]]:
    return {name: old.get_queue_message_counts(name) for name in ("mail", "default")}


def test_waiting_delayed_and_dead_messages_move_in_their_order(
    old: RabbitmqBroker, url: str, new: LedgerBroker, start_worker: StartWorker
) -> None:
    for name in ("ann", "bob", "cid"):
        old.get_actor("greet").send(name)
    later = old.get_actor("greet").send_with_options(args=("dan",), delay=3_600_000)
    old.get_actor("bad").send("luck")
    worker = dramatiq.Worker(old, queues={"default"}, worker_timeout=50, worker_threads=1)
    worker.start()
    assert wait_until(lambda: left(old)["default"] == (0, 0, 1), seconds=60)
    worker.stop()

    done = import_all(new, url)

    assert (dict(done.messages), dict(done.delayed), dict(done.dead)) == ({"mail": 3}, {"mail": 1}, {"default": 1})
    assert left(old) == {"mail": (0, 0, 0), "default": (0, 0, 0)}
    found = {run["arguments"]["args"][0]: run for run in runs(new)}
    assert list(found)[:3] == ["ann", "bob", "cid"] or list(found)[1:4] == ["ann", "bob", "cid"]
    assert (found["dan"]["priority"], found["dan"]["run_at"]) == (
        4, datetime.fromtimestamp(later.options["eta"] / 1000, UTC),
    )  # fmt: skip
    assert found["luck"]["state"] == "dead"
    assert abs((found["luck"]["finished_at"] - datetime.now(UTC)).total_seconds()) < 60
    start_worker()
    assert wait_until(lambda: len(new.greeted) == 3, seconds=60)  # type: ignore[attr-defined]


def test_an_import_that_was_killed_before_it_acknowledged_records_nothing_twice(
    old: RabbitmqBroker, url: str, new: LedgerBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ann", "bob"):
        old.get_actor("greet").send(name)

    def killed(self: Any, *args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RabbitQueues, "drop", killed)
        with pytest.raises(KeyboardInterrupt):
            import_all(new, url)
    assert left(old)["mail"] == (2, 0, 0), "nothing was acknowledged"
    assert len(runs(new)) == 2

    again = import_all(new, url)

    assert (again.total, again.known_already) == (0, 2)
    assert len(runs(new)) == 2
    assert left(old)["mail"] == (0, 0, 0)


def test_what_cannot_be_read_is_named_and_stays_in_its_place(old: RabbitmqBroker, url: str, new: LedgerBroker) -> None:
    old.get_actor("greet").send("ann")
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        connection.channel().basic_publish("", "mail", b"\x80\x04\x95pickle")
    old.get_actor("greet").send("bob")

    done = import_all(new, url)

    assert dict(done.messages) == {"mail": 2}
    ((refused),) = done.refused
    assert "cannot read it" in refused["why"]
    assert left(old)["mail"] == (1, 0, 0)


def test_a_dry_run_shows_what_would_move_and_live_workers_and_moves_nothing(
    old: RabbitmqBroker, url: str, new: LedgerBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ann", "bob"):
        old.get_actor("greet").send(name)
    reader = pika.BlockingConnection(pika.URLParameters(url))
    channel = reader.channel()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume("mail", lambda *_: None)
    assert wait_until(lambda: left(old)["mail"] == (1, 0, 0), seconds=60)
    ledger = new.app.database.url.render_as_string(hide_password=False)
    command = ["--database-url", ledger, "import-dramatiq", "--from", url, "--queue", "mail", "-o", "json"]

    assert main.run([*command, "--dry-run"]) == 0

    said = capsys.readouterr()
    assert json.loads(said.out)["data"] == [{"queue": "mail", "messages": 1, "delayed": 0, "dead": 0, "fetched": 0}]
    assert "1 message would be moved" in said.err
    assert "1 consumer of dramatiq" in said.err
    reader.close()
    assert wait_until(lambda: left(old)["mail"] == (2, 0, 0), seconds=60)
    assert runs(new) == []
    assert main.run([*command, "--yes"]) == 0
    assert left(old)["mail"] == (0, 0, 0)


def test_a_server_that_does_not_answer_or_is_none_is_named_in_the_error(
    server: RabbitServer, url: str, new: LedgerBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read as the URL"):
        RabbitQueues("amqp://guest:s3cret@localhost:port/", names=NAMES, clock=new.app.clock)
    with pytest.raises(ServiceDown, match="cannot be reached"):
        RabbitQueues("amqp://guest:guest@127.0.0.1:1/", names=NAMES, clock=new.app.clock)
    with pytest.raises(ServiceDown, match="refuses us") as refused:
        RabbitQueues(url.replace("guest:guest", "guest:s3cret"), names=NAMES, clock=new.app.clock)
    assert "s3cret" not in str(refused.value)
    monkeypatch.setattr("jobs.dramatiq.rabbit_queues.HEARTBEAT_SECONDS", 1)
    with closing(RabbitQueues(url, names=NAMES, clock=new.app.clock)) as queues:
        queues.queues()
        server.send(signal.SIGSTOP)
        with pytest.raises(ServiceDown, match="cannot be reached"):
            queues.queues()
        server.send(signal.SIGCONT)
