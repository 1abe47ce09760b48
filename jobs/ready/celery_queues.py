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
"""kombu's separator, in bindings and before the priority in the name of a list."""
STEPS = tuple(range(10))
UNACKED = "unacked"


class CeleryQueues:
    """The queues of one broker in a Redis.

    Args:
        prefix: Celery's ``global_keyprefix``.
        names: queues that no binding names.

    Raises:
        ConfigurationError: not the URL of one Redis server.
    """

    def __init__(self, url: str, *, prefix: str = "", names: Sequence[str] = ()) -> None:
        self._redis = Connections(url, named_by="REDIS_URL")
        self._prefix = prefix
        self._named = tuple(names)

    @property
    def shown(self) -> str:
        """The location, without a password."""
        return self._redis.shown

    def names(self) -> list[str]:
        """Every queue that a worker has declared, or that was named."""
        found = set(self._named)
        for key in self._keys(f"{self._prefix}_kombu.binding.*"):
            if key.endswith((".pidbox", ".reply.celery.pidbox", "celeryev")):
                continue  # Remote control and events.
            found |= {one.decode(errors="replace").split(SEP)[-1] for one in self._redis.call("SMEMBERS", key)}
        return sorted(found)

    def waiting(self, name: str) -> int:
        """How many tasks wait in a queue, those set aside included."""
        return sum(int(self._redis.call("LLEN", key)) for one in self._lists(name) for key in (one, one + ASIDE))

    def fetched(self) -> int:
        """How many tasks workers have fetched and not acknowledged."""
        return int(self._redis.call("HLEN", self._prefix + UNACKED))

    def look(self, name: str) -> Iterator[bytes]:
        """The tasks of a queue, the oldest first; changes nothing."""
        for key in self._lists(name):
            for place in (key + ASIDE, key):
                yield from reversed(self._redis.call("LRANGE", place, 0, -1))

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

    def unacked(self) -> dict[str, bytes]:
        """The tasks that workers had fetched, by delivery tag."""
        found: dict[str, bytes] = {}
        reply = self._redis.call("HGETALL", self._prefix + UNACKED)
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        for tag, stored in pairs:
            try:
                message = json.loads(stored)[0]
            except (ValueError, IndexError, KeyError, TypeError):
                message = stored.decode(errors="replace")
            found[tag.decode(errors="replace")] = json.dumps(message).encode()
        return found

    def drop_unacked(self, tags: Sequence[str]) -> None:
        """Delete tasks that workers had fetched, because they are in the ledger."""
        if tags:
            self._redis.call("HDEL", self._prefix + UNACKED, *tags)
            self._redis.call("ZREM", f"{self._prefix}{UNACKED}_index", *tags)

    def close(self) -> None:
        self._redis.close()

    def _lists(self, name: str) -> list[str]:
        return [self._prefix + name + (f"{SEP}{step}" if step else "") for step in STEPS]

    def _keys(self, pattern: str) -> Iterator[str]:
        cursor: Any = 0
        while True:
            cursor, keys = self._redis.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            yield from (key.decode(errors="replace") for key in keys)
            if int(cursor) == 0:
                return
