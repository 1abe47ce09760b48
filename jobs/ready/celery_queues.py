"""Reads and removes the tasks that Celery left in Redis, without Celery.

kombu keeps each queue in a list, and one more for each priority step: the oldest task is the last entry. The sets
``_kombu.binding.EXCHANGE`` name the queues. The hash ``unacked`` holds what workers have fetched and not acknowledged,
tasks with an ETA included, and ``unacked_index`` when. Source: kombu's ``transport/redis.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from jobs.ready.connection import Connections

ASIDE = ".jobledger"
"""Suffix of the list that holds the tasks being imported."""
SEP = "\x06\x16"
"""kombu's separator, in bindings and before the priority in the name of a list; its option ``sep`` is another."""
STEPS = tuple(range(10))
UNACKED = "unacked"
BINDING = "_kombu.binding."


class CeleryQueues:
    """The queues of one broker in a Redis.

    Args:
        prefix: Celery's ``global_keyprefix``.
        names: queues that no binding names.
        separator: kombu's option ``sep``; None finds it in the bindings.

    Raises:
        ConfigurationError: not the URL of one Redis server.
    """

    def __init__(self, url: str, *, prefix: str = "", names: Sequence[str] = (), separator: str | None = None) -> None:
        self._redis = Connections(url, named_by="REDIS_URL")
        self._prefix = prefix
        self._named = tuple(names)
        self._separators = [separator] if separator else [SEP]
        self._finds_separator = not separator

    @property
    def shown(self) -> str:
        """The location, without a password."""
        return self._redis.shown

    def names(self) -> list[str]:
        """Every queue that a worker has declared, or that was named."""
        start, bindings = f"{self._prefix}{BINDING}", []
        for key in self._keys(f"{start}*"):
            if key.endswith((".pidbox", ".reply.celery.pidbox", "celeryev")):
                continue  # Remote control and events.
            for one in self._redis.call("SMEMBERS", key):
                bindings.append(one.decode(errors="replace"))
                self._learn(bindings[-1], key.removeprefix(start))
        return sorted({*self._named, *map(self._queue_of, bindings)})

    def _learn(self, binding: str, exchange: str) -> None:
        """Find the separator in the binding of a queue whose exchange and routing key have its name, as by default."""
        if not self._finds_separator or SEP in binding:
            return
        if binding.startswith(exchange) and binding.endswith(exchange) and len(binding) > 2 * len(exchange):
            between = binding[len(exchange) : -len(exchange)]
            half = between[: len(between) // 2]
            if half + half == between and half not in self._separators:
                self._separators.append(half)

    def _queue_of(self, binding: str) -> str:
        for separator in self._separators:
            if separator in binding:
                return binding.rpartition(separator)[2]
        return binding

    def waiting(self, name: str) -> int:
        """How many tasks wait in a queue, those set aside included."""
        return sum(int(self._redis.call("LLEN", key)) for one in self._lists(name) for key in (one, one + ASIDE))

    def fetched(self) -> int:
        """How many tasks workers have fetched and not acknowledged."""
        return int(self._redis.call("HLEN", self._prefix + UNACKED))

    def look(self, name: str, count: int) -> Iterator[list[bytes]]:
        """The tasks of a queue, the oldest first, up to ``count`` at once; changes nothing."""
        for key in self._lists(name):
            for place in (key + ASIDE, key):
                last = -1
                while tasks := self._redis.call("LRANGE", place, last - count + 1, last):
                    yield tasks[::-1]
                    last -= count

    def take(self, name: str, count: int) -> list[tuple[str, bytes]]:
        """Set up to ``count`` tasks aside, the oldest first: no worker fetches them. Returns where, and the task."""
        found: list[tuple[str, bytes]] = []
        for key in self._lists(name):
            while len(found) < count:
                task = self._redis.call("LMOVE", key, key + ASIDE, "RIGHT", "LEFT")
                if task is None:
                    break
                found.append((key, task))
        return found

    def resume(self, name: str) -> list[tuple[str, bytes]]:
        """Tasks that an import which was killed has set aside."""
        return [
            (key, task)
            for key in self._lists(name)
            for task in reversed(self._redis.call("LRANGE", key + ASIDE, 0, -1))
        ]

    def drop(self, tasks: Sequence[tuple[str, bytes]]) -> None:
        """Delete tasks that are set aside, because they are in the ledger."""
        for key, task in tasks:
            self._redis.call("LREM", key + ASIDE, -1, task)

    def give_back(self, name: str) -> None:
        """Put the tasks that are still set aside back at the head of their queue, in their order."""
        for key in self._lists(name):
            while self._redis.call("LMOVE", key + ASIDE, key, "LEFT", "RIGHT"):
                pass

    def unacked(self, count: int) -> Iterator[dict[str, bytes]]:
        """The tasks that workers had fetched, by delivery tag, about ``count`` at once."""
        cursor: Any = 0
        while True:
            cursor, reply = self._redis.call("HSCAN", self._prefix + UNACKED, cursor, "COUNT", count)
            pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
            if found := {tag.decode(errors="replace"): _task_of(stored) for tag, stored in pairs}:
                yield found
            if int(cursor) == 0:
                return

    def drop_unacked(self, tags: Sequence[str]) -> None:
        """Delete tasks that workers had fetched, because they are in the ledger."""
        if tags:
            self._redis.call("HDEL", self._prefix + UNACKED, *tags)
            self._redis.call("ZREM", f"{self._prefix}{UNACKED}_index", *tags)

    def close(self) -> None:
        self._redis.close()

    def _lists(self, name: str) -> list[str]:
        stepped = [f"{separator}{step}" for step in STEPS if step for separator in self._separators]
        return [self._prefix + name + end for end in ("", *stepped)]

    def _keys(self, pattern: str) -> Iterator[str]:
        cursor: Any = 0
        while True:
            cursor, keys = self._redis.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            yield from (key.decode(errors="replace") for key in keys)
            if int(cursor) == 0:
                return


def _task_of(stored: bytes) -> bytes:
    try:
        message = json.loads(stored)[0]
    except (ValueError, IndexError, KeyError, TypeError):
        message = stored.decode(errors="replace")
    return json.dumps(message).encode()
