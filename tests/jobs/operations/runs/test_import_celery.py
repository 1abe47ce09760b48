"""Importing from Celery: messages as Celery 5.7 and kombu 5.7 left them in Redis move into the ledger, each once."""

from __future__ import annotations

import base64
import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import redis
from sqlalchemy import select

from admin_cli import main
from jobs import WHILE_LIVE, Job
from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.operations.audit.operator import Operator
from jobs.operations.runs.import_celery import ImportedTasks, import_tasks
from jobs.ready.celery_queues import SEP, CeleryQueues

BY = Operator("ann")


def message(
    task: str,
    *args: Any,
    content: str = "application/json",
    embed: dict[str, Any] | None = None,
    eta: str | None = None,
    expires: str | None = None,
    id: str | None = None,
    priority: int = 0,
    compression: tuple[str, Callable[[bytes], bytes]] | None = None,
    **kwargs: Any,
) -> str:
    """As ``task.apply_async`` writes it."""
    following = {"callbacks": None, "errbacks": None, "chain": None, "chord": None, **(embed or {})}
    body = json.dumps([args, kwargs, following]).encode() if content == "application/json" else b"\x80\x05N."
    given = str(uuid4()) if id is None else id
    headers = {"lang": "py", "task": task, "id": given, "eta": eta, "expires": expires, "retries": 0}
    if compression:
        headers["compression"], body = compression[0], compression[1](body)
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": content,
            "headers": headers,
            "properties": {"body_encoding": "base64", "delivery_tag": str(uuid4()), "priority": priority},
        }
    )  # fmt: skip


@pytest.fixture
def url(redis_url: str) -> str:
    """Another database of the same server than the ready index's."""
    return redis_url.removesuffix("/0") + "/4"


@pytest.fixture
def broker(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        for queue in ("celery", "mail"):
            client.sadd(f"_kombu.binding.{queue}", f"{queue}{SEP}{SEP}{queue}")
        client.sadd("_kombu.binding.celery.pidbox", f"{SEP}{SEP}celery@vm.celery.pidbox")
        yield client


@pytest.fixture(autouse=True)
def send() -> Iterator[None]:
    class Send(Job, queue="post", aliases=("shop.send",)):
        to: int
        subject: str = "hello"

        def perform(self) -> None: ...

    yield
    registry.forget("Send")


def run_import(app: Any, url: str, **options: Any) -> ImportedTasks:
    old = CeleryQueues(url)
    try:
        return import_tasks(app, old, BY, **options)
    finally:
        old.close()


def runs(app: Any) -> list[Any]:
    with app.database.read() as connection:
        columns = (
            JobRun.kind, JobRun.queue, JobRun.priority, JobRun.arguments, JobRun.run_at, JobRun.expires_at,
            JobRun.correlation_id,
        )  # fmt: skip
        return list(connection.execute(select(*columns).order_by(JobRun.created_at, JobRun.id)).all())


def test_waiting_tasks_become_runs_and_leave_redis(app, url, broker):
    broker.lpush("celery", message("shop.send", 1), message("Send", 2, subject="x"))
    broker.lpush(
        f"mail{SEP}3", message("shop.send", to=3, eta="2031-01-01T00:00:00", expires="2032-01-01T00:00:00+00:00")
    )
    dry = run_import(app, url, dry_run=True)
    assert (dict(dry.tasks), runs(app)) == ({"celery": 2, "mail": 1}, [])

    done = run_import(app, url)

    assert (dict(done.tasks), done.refused) == ({"celery": 2, "mail": 1}, [])
    found = runs(app)
    assert {(one.kind, one.queue) for one in found} == {("Send", "post")}
    by_to = {one.arguments["to"]: one for one in found}
    assert by_to[1].arguments == {"to": 1, "subject": "hello"}
    assert by_to[2].arguments == {"to": 2, "subject": "x"}
    assert by_to[3].run_at == datetime(2031, 1, 1, tzinfo=UTC)
    assert by_to[3].expires_at == datetime(2032, 1, 1, tzinfo=UTC)
    assert broker.llen("celery") == broker.llen(f"mail{SEP}3") == 0
    assert not [key for key in broker.keys("*") if key.endswith(b".jobledger")]


def test_tasks_that_cannot_move_stay_in_their_order_and_are_named(app, url, broker):
    left = [
        message("shop.other", 1),
        message("shop.send", 1, content="application/x-python-serialize"),
        message("shop.send", 1, embed={"chain": [{"task": "shop.send"}]}),
        message("shop.send", "not a number"),
        message("shop.send", 1, "x", "one too many"),
        message("shop.send", 1, eta="soon"),
        json.dumps({"body": "[]", "headers": {}}),
        "no json",
    ]
    for one in (left[0], message("shop.send", 7), *left[1:]):
        broker.lpush("celery", one)

    done = run_import(app, url)

    assert done.total == 1
    whys = [one["why"] for one in done.refused]
    for why, said in zip(
        ("no job of the kind", "only JSON", "It has chain", "to: Input", "3 positional", "no moment", "protocol 2"),
        whys,
        strict=False,
    ):
        assert why in said
    assert [one.decode() for one in reversed(broker.lrange("celery", 0, -1))] == left
    again = run_import(app, url, kinds={"shop.other": "Send"})
    assert (again.total, len(again.refused)) == (1, 7)


def test_arguments_arrive_as_the_task_would_have_got_them(app, url, broker):
    class Book(Job, priority=4):
        name: str
        day: date
        price: Decimal
        more: dict[str, Any]
        seal: bytes

        def perform(self) -> None: ...

    def marked(kind: str, value: Any) -> dict[str, Any]:
        return {"__type__": kind, "__value__": value}

    more = {"naïve": [{"deep": ["päper", None, True, 2**40]}]}
    given = {"day": marked("date", "2026-03-01"), "price": marked("decimal", "1.10"), "more": more}
    ways = (("gzip", zlib.compress), ("bz2", bz2.compress), ("lzma", lzma.compress))
    for place, (name, compress) in enumerate(ways):
        sealed = marked("bytes", "ok") if place else {"bytes": "b2s=", "__base64__": True}
        how = f"application/x-{name}", compress
        sent = message("Book", "Ünïcode ✓", compression=how, priority=3 * place, id=f"t-{name}", seal=sealed, **given)
        broker.lpush(f"celery{SEP}{3 * place}" if place else "celery", sent)

    done = run_import(app, url)

    assert (done.total, done.refused) == (3, [])
    found = {one.correlation_id: one for one in runs(app)}
    assert {name: one.priority for name, one in found.items()} == {"t-gzip": 4, "t-bz2": 3, "t-lzma": 6}
    for one in found.values():
        kept = Book(**one.arguments)
        assert (kept.name, kept.day, kept.price, kept.seal) == ("Ünïcode ✓", date(2026, 3, 1), Decimal("1.10"), b"ok")
        assert kept.more == more
    registry.forget("Book")


def test_what_would_be_lost_without_a_word_is_refused(app, url, broker):
    class Once(Job, unique=WHILE_LIVE):
        order: int
        to: str

        def idempotency_key(self) -> str:
            return str(self.order)

        def perform(self) -> None: ...

    class Loose(Job):
        given: dict[str, Any]

        def perform(self) -> None: ...

    day = {"__type__": "datetime", "__value__": "2026-03-01T12:00:00+00:00"}
    whys = {
        message("Loose", given={"at": day}): "does not come back from JSON",
        message("shop.send", 1, id=""): "no id",
        message("shop.send", 1, to=2): "to by position and by name",
        message("shop.send", 1, {"__type__": "money", "__value__": "1 EUR"}): "type 'money'",
        message("shop.send", 1, compression=("application/zstd", bytes)): "compressed as application/zstd",
        message("shop.send", 1, compression=("application/x-gzip", bytes)): "damaged",
        message("Once", 7, "bob"): "has its key '7'",
    }
    for one in (message("Once", 7, "ann"), *whys):
        broker.lpush("celery", one)

    done = run_import(app, url)

    assert (done.total, done.known_already) == (1, 0)
    assert all(
        why in one["why"]
        for why, one in zip(whys.values(), sorted(done.refused, key=lambda r: r["task"] == "Once"), strict=True)
    )
    assert [one.decode() for one in reversed(broker.lrange("celery", 0, -1))] == [*whys]
    registry.forget("Once")
    registry.forget("Loose")


def test_queues_with_another_separator_are_found(app, url, broker):
    broker.flushdb()
    broker.sadd("_kombu.binding.celery", "celery::celery")
    broker.sadd("_kombu.binding.shop", "orders.new::mail")
    broker.lpush("celery:6", message("shop.send", 1, priority=6))
    broker.lpush("mail", message("shop.send", 2))

    done = run_import(app, url)

    assert dict(done.tasks) == {"celery": 1, "mail": 1}
    old = CeleryQueues(url, separator="--")
    broker.lpush("celery--3", message("shop.send", 3))
    assert old.waiting("celery") == 1
    old.close()


def test_an_import_that_was_killed_goes_on_and_records_nothing_twice(app, url, broker):
    first, second = message("shop.send", 1), message("shop.send", 2)
    broker.lpush("celery", first)
    run_import(app, url)
    # Killed after the commit, and before the deletion.
    broker.lpush("celery.jobledger", first)
    broker.lpush("celery", second)

    done = run_import(app, url)

    assert (done.total, done.known_already, len(runs(app))) == (1, 1, 2)


def test_fetched_tasks_move_only_when_asked(app, url, broker):
    tag = str(uuid4())
    stored = json.dumps([json.loads(message("shop.send", 1, eta="2031-01-01T00:00:00+00:00")), "", "celery"])
    broker.hset("unacked", tag, stored)
    broker.zadd("unacked_index", {tag: 1.0})
    assert (run_import(app, url).total, run_import(app, url).fetched) == (0, 1)

    done = run_import(app, url, with_fetched=True)

    assert (done.total, done.fetched) == (1, 0)
    assert runs(app)[0].run_at == datetime(2031, 1, 1, tzinfo=UTC)
    assert not broker.exists("unacked", "unacked_index")


def test_the_command_moves_them_and_says_what_stays(sqlite_url, url, broker, capsys, monkeypatch):
    broker.lpush("celery", message("shop.send", 1))
    broker.lpush("elsewhere", message("shop.other", 1))
    command = ["--database-url", sqlite_url, "import-celery", url, "--queue", "elsewhere"]

    assert main.run([*command, "--dry-run"]) == 4
    assert main.run([*command, "--yes"]) == 4
    said = capsys.readouterr()
    assert "1 task moved" in said.err
    assert "refused: elsewhere shop.other" in said.err
    assert main.run([*command, "--map", "x", "--yes"]) == 2
