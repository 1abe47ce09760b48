"""Reads and removes the messages of dramatiq's RedisBroker in Redis, without dramatiq.

Each queue has, under the broker's namespace, a list of ids and a hash of messages; the same for its delayed messages
under ``NAME.DQ``; dead letters as a sorted set of ids and a hash under ``NAME.XQ``. ``__acks__.WORKER.NAME`` holds the
ids that a live worker has fetched and not acknowledged. Source: dramatiq's ``dispatch.lua``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.errors import ConfigurationError
from jobs.ready.connection import Connections, Script

ASIDE = ".jobledger"
"""Suffix of the list that holds the messages being imported."""
HEARTBEAT = timedelta(seconds=60)
"""dramatiq takes the messages of a worker back that is silent for longer. Source: RedisBroker's default."""
SCAN = 1000

_TAKE = Script("old_take.lua")
_REQUEUE = Script("old_requeue.lua")


@dataclass(frozen=True, slots=True)
class OldQueue:
    """The contents of a queue: waiting messages, those fetched by live workers, and dead letters.

    ``readers`` are the live consumers of a broker that does not say what they have fetched.
    """

    name: str
    waiting: int
    fetched: int
    dead: int
    readers: int = 0

    @property
    def is_delayed(self) -> bool:
        return self.name.endswith(".DQ")


class OldQueues:
    """The queues of one broker: a Redis and a namespace.

    Raises:
        ConfigurationError: not the URL of one Redis server.
    """

    def __init__(self, url: str, *, namespace: str = "dramatiq") -> None:
        if not namespace:
            raise ConfigurationError("A namespace cannot be empty.", hint="dramatiq's own is: --namespace dramatiq.")
        self.namespace = namespace
        self._redis = Connections(url, named_by="REDIS_URL")

    @property
    def shown(self) -> str:
        """The location, without a password."""
        return self._redis.shown

    def queues(self) -> list[OldQueue]:
        """Every queue that is not empty, by name; delayed messages are a queue of their own.

        Raises:
            ServiceDown: Redis does not answer, or its reply is not understood.
        """
        wrong = {name for name, _, _ in self.wrong_keys()}
        found = [self._queue(name) for name in self._names() if name not in wrong]
        return [one for one in found if one.waiting or one.fetched or one.dead]

    def wrong_keys(self) -> list[tuple[str, str, str]]:
        """Keys that do not have the type that dramatiq gives them: the queue's name, the key, and the problem.

        Other methods leave their queues out, because they cannot be read.
        """
        found = []
        for name in self._names():
            types = {
                self._list(name): "list",
                self._aside(name): "list",
                self._messages(name): "hash",
                self._list(f"{name}.XQ"): "zset",
                self._messages(f"{name}.XQ"): "hash",
            }
            for key, wanted in types.items():
                there = self._redis.call("TYPE", key)
                there = there.decode() if isinstance(there, bytes) else str(there)
                if there not in (wanted, "none"):
                    shown = key.decode(errors="replace")
                    found.append((name, shown, f"The key {shown} is a {there}, but dramatiq stores a {wanted} there."))
        return found

    def take_back(self, *, now: datetime) -> int:
        """Put the messages of dead workers back in their queues; returns their number."""
        heartbeats = f"{self.namespace}:__heartbeats__"
        longest_ago = int((now - HEARTBEAT).timestamp() * 1000)
        dead = [one.decode() for one in self._redis.call("ZRANGEBYSCORE", heartbeats, "-inf", longest_ago)]
        taken = 0
        for worker in dead:
            prefix = f"{self.namespace}:__acks__.{worker}."
            for key in list(self._keys(f"{_escaped(prefix)}*")):
                name = key.removeprefix(prefix)
                keys = [key.encode(), self._list(name), self._messages(name)]
                taken += int(self._redis.run(_REQUEUE, keys, []))
        return taken

    def take(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None]]:
        """Set up to ``count`` messages of a queue aside, after the first ``skip`` set aside; returns ids and messages.

        No dramatiq worker fetches them any more. They stay until ``drop`` or ``give_back``, even if this process dies.
        """
        keys = [self._list(name), self._aside(name), self._messages(name)]
        return _pairs(self._redis.run(_TAKE, keys, [skip, count]))

    def look(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None]]:
        """The same without any change: messages set aside already come first."""
        aside = int(self._redis.call("LLEN", self._aside(name)))
        ids: list[bytes] = []
        if skip < aside:
            ids += self._redis.call("LRANGE", self._aside(name), skip, skip + count - 1)
        if len(ids) < count:
            first = max(0, skip - aside)
            ids += self._redis.call("LRANGE", self._list(name), first, first + count - len(ids) - 1)
        return self._with_messages(self._messages(name), ids)

    def drop(self, name: str, ids: Sequence[bytes]) -> None:
        """Delete messages that are set aside, because they are in the ledger."""
        if ids:
            self._redis.call("HDEL", self._messages(name), *ids)
            for one in ids:
                self._redis.call("LREM", self._aside(name), 1, one)

    def give_back(self, name: str) -> None:
        """Put the messages that are still set aside back at the head of their queue, in their order."""
        while self._redis.call("LMOVE", self._aside(name), self._list(name), "RIGHT", "LEFT"):
            pass

    def dead(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None, float]]:
        """Dead letters of a queue, oldest first, after the first ``skip``: ids, messages, moments in milliseconds."""
        reply = self._redis.call("ZRANGE", self._list(f"{name}.XQ"), skip, skip + count - 1, "WITHSCORES")
        moments = {reply[place]: float(reply[place + 1]) for place in range(0, len(reply), 2)}
        pairs = self._with_messages(self._messages(f"{name}.XQ"), list(moments))
        return [(one, data, moments[one]) for one, data in pairs]

    def drop_dead(self, name: str, ids: Sequence[bytes]) -> None:
        """Delete dead letters, because they are in the ledger."""
        if ids:
            self._redis.call("HDEL", self._messages(f"{name}.XQ"), *ids)
            self._redis.call("ZREM", self._list(f"{name}.XQ"), *ids)

    def close(self) -> None:
        self._redis.close()

    def _names(self) -> list[str]:
        start = len(self.namespace) + 1
        keys = self._keys(f"{_escaped(self.namespace)}:*.msgs")
        return sorted({key[start:].removesuffix(".msgs").removesuffix(".XQ") for key in keys})

    def _queue(self, name: str) -> OldQueue:
        waiting = int(self._redis.call("LLEN", self._list(name))) + int(self._redis.call("LLEN", self._aside(name)))
        held = int(self._redis.call("HLEN", self._messages(name)))
        dead = 0 if name.endswith(".DQ") else int(self._redis.call("ZCARD", self._list(f"{name}.XQ")))
        return OldQueue(name, waiting, max(0, held - waiting), dead)

    def _with_messages(self, key: bytes, ids: list[bytes]) -> list[tuple[bytes, bytes | None]]:
        return list(zip(ids, self._redis.call("HMGET", key, *ids), strict=True)) if ids else []

    def _keys(self, pattern: str) -> Iterator[str]:
        cursor: bytes | int = 0
        while True:
            cursor, keys = self._redis.call("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN)
            yield from (key.decode(errors="replace") for key in keys)
            if int(cursor) == 0:
                return

    def _list(self, name: str) -> bytes:
        return f"{self.namespace}:{name}".encode()

    def _aside(self, name: str) -> bytes:
        return self._list(name) + ASIDE.encode()

    def _messages(self, name: str) -> bytes:
        return self._list(name) + b".msgs"


def _pairs(reply: list[bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(reply[place], reply[place + 1] or None) for place in range(0, len(reply), 2)]


def _escaped(text: str) -> str:
    """``text`` escaped for a pattern of SCAN."""
    return "".join(f"\\{sign}" if sign in "*?[]\\^-" else sign for sign in text)
