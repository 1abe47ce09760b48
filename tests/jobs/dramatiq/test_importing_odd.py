"""Messages that the import cannot read, hold or place: each is named and stays, and the others move."""

from __future__ import annotations

import json

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis
from sqlalchemy import select

from jobs.database.models import JobRun
from jobs.dramatiq import LedgerBroker
from tests.jobs.dramatiq.old_broker import import_all, runs
from tests.jobs.dramatiq.old_broker import new as new
from tests.jobs.dramatiq.old_broker import old as old
from tests.jobs.dramatiq.old_broker import old_url as old_url


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
