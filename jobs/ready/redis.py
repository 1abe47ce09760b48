"""The ready index in Redis or Valkey: per queue a sorted set of ready ids and one of later ids; a few scripts.

An id becomes ready by Redis's own clock, so that no worker's clock matters; this is a hint too, because the claim uses
the ledger's clock. All keys of a prefix have one hash tag and so are in one slot: a script may touch them all behind a
sharding proxy. A snapshot that was restored with its mark but without the last ids looks intact: the sweep of overdue
runs adds the lost ids again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.clock import Clock, SystemClock, new_run_id, new_token
from jobs.errors import ConfigurationError, ServiceDown
from jobs.formats.uuid_of_number import uuid_of_number
from jobs.ready.connection import ANSWER_WITHIN_SECONDS, Connections, Script
from jobs.ready.protocol import ReadyBatch, ReadyEntry

LOOK_EVERY_SECONDS = 1.0
"""How often a taker reads the mark and the next due moment. Source: a wiped index is back within 2 s."""
INSTANT_SECONDS = 0.002
"""A blocking pop that answers within this did not block: more entries probably wait. Source: measured 0.2 ms."""
TICK_SECONDS = 0.1
"""How late an idle server ends a blocking wait. Source: ``hz 10``, the default; measured."""
MAX_MOVES = 1000
"""Ids that become ready, or are added, in one call of a script. Source: Lua unpacks at most 8,000 values."""
_MAX_PRIORITY = 1000
_LOOK = b"look"
_PROBE, _PROBE_SECONDS, _PROBE_DELAY = "probe", 0.5, timedelta(milliseconds=20)


class RedisReadyIndex:
    """A ``ReadyIndex`` in one Redis server. ``take`` and ``peek`` serve one thread, the rest any.

    Args:
        ledger: returns the identity of the ledger of these runs. It is part of every key, so that two ledgers on one
            server stay separate. Called at first use; may raise ``ServiceDown``.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "jobs:",
        ledger: Callable[[], str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not prefix or len(prefix) > 100 or "{" in prefix or "}" in prefix or not prefix.isprintable():
            raise ConfigurationError(
                f"{prefix!r} cannot be a prefix of keys in Redis.",
                hint="Use 1 to 100 printable characters without braces, such as 'jobs:'.",
            )
        self._server = Connections(url)
        self._clock = clock or SystemClock()
        self._prefix, self._ledger = f"{prefix}{{ready}}:".encode(), ledger
        self._known_base: bytes | None = None
        self._add, self._take, self._peek = Script("add.lua"), Script("take.lua"), Script("peek.lua")
        self._looked_for: frozenset[str] = frozenset()
        self._look_at = 0.0
        self._due_at = math.inf
        self._more_is_likely = False
        self._is_intact = False

    def add(self, entries: Sequence[ReadyEntry], *, now: datetime | None = None) -> None:
        for start in range(0, len(entries), MAX_MOVES):
            by_queue: dict[str, list[str]] = {}
            for run_id, queue, priority, run_at in entries[start : start + MAX_MOVES]:
                due = "" if run_at is None else _milliseconds(run_at)
                some = by_queue.setdefault(queue, [])
                some.append(f"{run_id.int:032x} {max(-_MAX_PRIORITY, min(_MAX_PRIORITY, priority))} {due};")
            keys = [key for queue in by_queue for key in (self._key("now", queue), self._key("later", queue))]
            arguments: list[Any] = ["" if now is None else _milliseconds(now)]
            # One argument for all: the library takes as long to write an argument as the server to read a whole entry.
            arguments += ["".join(some) for some in by_queue.values()]
            self._server.run(self._add, keys, arguments)

    def take(self, queues: Sequence[str], count: int, *, wait_seconds: float) -> ReadyBatch:
        """As the protocol says; on an idle server a wait may last a tenth of a second longer."""
        names = tuple(dict.fromkeys(queues))
        if count < 1:
            raise ValueError(f"count must be 1 or more, got {count}")
        if not names:  # every queue is paused
            self._clock.sleep(max(0.0, wait_seconds))
            return ReadyBatch((), self._is_intact)
        until = self._clock.monotonic() + wait_seconds
        runs: list[tuple[UUID, str]] = []
        if self._more_is_likely or wait_seconds <= 0 or self._must_look(names):
            runs = self._look(names, count)
        while not runs and self._clock.monotonic() < until:
            runs = self._pop(names, count, until=until)
            if not runs and self._must_look(names):
                runs = self._look(names, count)
        return ReadyBatch(tuple(runs), self._is_intact)

    def peek(self, queues: Sequence[str], count: int, *, skip: int) -> ReadyBatch:
        names = tuple(dict.fromkeys(queues))
        if not names:
            return ReadyBatch((), self._is_intact)
        if self._must_look(names):
            self._look(names, 0)
        found = self._server.run(self._peek, [self._key("now", name) for name in names], [skip, count])
        members = [(member, names[number - 1]) for number, *ids in found for member in ids]
        if members and members[0][0] == _LOOK:  # they stay for the next take
            self._look_at = 0.0
        # The look took nothing, so it does not tell how much a take would find.
        self._more_is_likely = bool(members)
        runs = [(run_id, name) for member, name in members if (run_id := _run_id(member))]
        return ReadyBatch(tuple(runs), self._is_intact)

    def forget(self, runs: Iterable[tuple[UUID, str]]) -> None:
        by_queue: dict[str, list[str]] = {}
        for run_id, queue in runs:
            by_queue.setdefault(queue, []).append(run_id.hex)
        for queue, ids in by_queue.items():
            for start in range(0, len(ids), MAX_MOVES):
                for place in ("now", "later"):
                    self._server.call("ZREM", self._key(place, queue), *ids[start : start + MAX_MOVES])

    def is_intact(self) -> bool:
        return bool(self._server.call("EXISTS", self._key("intact")))

    def mark_intact(self) -> bool:
        return self._server.call("SET", self._key("intact"), "1", "NX") is not None

    def probe(self) -> None:
        """Send every command that adders, takers and sweepers use, in a queue of this call's own.

        Raises:
            ServiceDown: a command is refused, or an added entry does not come back.
        """
        trial = copy(self)
        trial._known_base = self._base + f"probe-{new_token().hex}:".encode()
        trial._look_at, trial._due_at, trial._more_is_likely = 0.0, math.inf, False
        entry, taken = ReadyEntry(new_run_id(), _PROBE), [True]
        try:
            # The server may know the scripts; after its restart they are sent again.
            self._server.call("EVAL", "return 1", 0)
            taken.append(trial.mark_intact() and trial.is_intact())
            # By the script, which looks, and then by the blocking wait, which does not.
            for wait_seconds in (0.0, _PROBE_SECONDS):
                trial.add([entry])
                taken.append(bool(trial.peek([_PROBE], 1, skip=0).runs))
                trial.peek([_PROBE], 1, skip=1)
                taken.append(bool(trial.take([_PROBE], 1, wait_seconds=wait_seconds).runs))
                trial._more_is_likely = False
            soon = entry._replace(run_at=self._clock.now() + _PROBE_DELAY)
            trial.add([soon], now=self._clock.now())
            taken.append(bool(trial.take([_PROBE], 1, wait_seconds=_PROBE_SECONDS).runs))
            trial.forget([(entry.run_id, _PROBE)])
            self._server.call("SCAN", b"0", "MATCH", _literal(trial._base) + b"*", "COUNT", 1)
        finally:
            places = [trial._key("intact"), trial._key("now", _PROBE), trial._key("later", _PROBE)]
            self._server.call("UNLINK", *places)
        if not all(taken):
            raise ServiceDown(
                f"Redis at {self._server.shown} does not return an entry that was added.",
                hint="Is something deleting its keys, or is it several servers behind one address?",
            )

    def wipe(self) -> None:
        """Remove every key of the prefix; entries that other processes add meanwhile may stay."""
        cursor, pattern = b"0", _literal(self._base) + b"*"
        while True:
            cursor, keys = self._server.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            if keys:
                self._server.call("UNLINK", *keys)
            if cursor == b"0":
                return

    def close(self) -> None:
        self._server.close()

    @property
    def _base(self) -> bytes:
        """The prefix of all our keys."""
        if self._known_base is None:
            whose = f"{self._ledger()}:" if self._ledger is not None else ""
            self._known_base = self._prefix + whose.encode()
        return self._known_base

    def _must_look(self, names: tuple[str, ...]) -> bool:
        look_at = min(self._look_at, self._due_at)
        return self._clock.monotonic() >= look_at or self._looked_for != frozenset(names)

    def _look(self, names: tuple[str, ...], count: int) -> list[tuple[UUID, str]]:
        """Move due ids, take, and read when to look again and whether the mark exists."""
        self._look_at = 0.0  # if this fails, the next take looks again
        keys = [self._key("intact")]
        for name in names:
            keys += (self._key("now", name), self._key("later", name))
        is_intact, next_due, *taken = self._server.run(self._take, keys, [count, MAX_MOVES])
        until_due = math.inf if next_due < 0 else next_due / 1000
        self._look_at = self._clock.monotonic() + LOOK_EVERY_SECONDS
        self._due_at = self._clock.monotonic() + until_due
        self._looked_for, self._is_intact = frozenset(names), bool(is_intact)
        runs = [(run_id, names[number - 1]) for number, ids in taken for run_id in _run_ids(ids)]
        self._more_is_likely = bool(runs)
        return runs

    def _pop(self, names: tuple[str, ...], count: int, *, until: float) -> list[tuple[UUID, str]]:
        """Wait for one id. If an entry becomes due first, move it, and return it as well."""
        queue_of = {self._key("now", name): name for name in names}
        started = self._clock.monotonic()
        runs: list[tuple[UUID, str]] = []
        seconds = max(0.001, min(until, self._due_at - INSTANT_SECONDS) - started)
        with self._server.pending("BZPOPMIN", *queue_of, seconds) as connection:
            # An idle server ends a blocking wait up to a tick late. A look from a second connection is in time and ends
            # the wait: with an id that the look left for it, or with nothing.
            is_near = self._due_at < until + TICK_SECONDS
            if is_near and not connection.can_read(max(0.001, self._due_at - started)):
                runs = self._look(names, count - 1)
            answer = connection.read_response(timeout=seconds + ANSWER_WITHIN_SECONDS)
        if answer is None:
            return runs
        key, member, _ = answer
        self._more_is_likely = self._more_is_likely or self._clock.monotonic() - started < INSTANT_SECONDS
        if member == _LOOK:  # another process added an id that is due sooner than all known ones
            self._look_at = 0.0
        elif run_id := _run_id(member):
            runs.append((run_id, queue_of[key]))
        return runs

    def _key(self, place: str, queue: str = "") -> bytes:
        # A queue's name comes last, so that no name can produce another key.
        return self._base + f"{place}:{queue}".encode("utf-8", "surrogatepass")


def _milliseconds(moment: datetime) -> int:
    """Since 1970, rounded up: never early."""
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a time zone, got {moment!r}")
    return math.ceil(moment.timestamp() * 1000)


def _run_id(member: bytes) -> UUID | None:
    """The run of a member; None for members that other programs added."""
    try:
        number = int(member, 16) if len(member) == 32 else -1
    except ValueError:
        return None
    return uuid_of_number(number) if number >= 0 else None


def _run_ids(members: bytes) -> Iterator[UUID]:
    """The runs of members of 32 characters, one after another."""
    for start in range(0, len(members), 32):
        if run_id := _run_id(members[start : start + 32]):
            yield run_id


def _literal(pattern: bytes) -> bytes:
    """``pattern`` escaped for MATCH."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^-" else bytes([byte]) for byte in pattern)
