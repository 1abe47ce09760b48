"""Import: moves the messages of dramatiq's own brokers into the ledger, for applications that change their broker.

The import sets a message aside, where no dramatiq worker finds it; records it with an id derived from the message; and
only then deletes it in the broker. An import that was killed at any point can be started again: it continues
and records nothing twice.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import dramatiq.broker
from dramatiq.broker import Broker
from dramatiq.common import q_name
from dramatiq.errors import DecodeError
from dramatiq.message import Message

from jobs.app import App
from jobs.dramatiq.broker import LedgerBroker
from jobs.dramatiq.old_broker import OldBroker
from jobs.enqueue.write_path import announce_runs
from jobs.errors import JobsError
from jobs.ledger.admission.imported import ImportedDeadLetter, insert_dead_letters, insert_imported
from jobs.ledger.moment import ledger_moment
from jobs.ledger.records import NewRun
from jobs.messages.encoding import RETRIED
from jobs.messages.runs import new_run
from jobs.operations.audit.entry import record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.ready.dramatiq_queues import OldQueue
from jobs.runtime.failure import MAX_MESSAGE, MAX_TYPE, storable
from jobs.states import Cause

BATCH = 500
"""Messages recorded in one transaction. Source: decision."""
_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Imported:
    """Numbers of messages imported: by queue, and by undeclared actor; ``refused`` ones stay where they are."""

    messages: Counter[str] = field(default_factory=Counter)
    delayed: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    fetched: Counter[str] = field(default_factory=Counter)
    readers: Counter[str] = field(default_factory=Counter)
    unknown_actors: Counter[str] = field(default_factory=Counter)
    known_already: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(sum(one.values()) for one in (self.messages, self.delayed, self.dead))


def broker_of() -> Broker:
    """The application's current broker; without one, a LedgerBroker that has no actors."""
    return dramatiq.broker.global_broker or LedgerBroker()


def import_queues(app: App, broker: Broker, old: OldBroker, operator: Operator, *, dry_run: bool = False) -> Imported:
    """Move every message of ``old`` into the ledger; ``broker`` has the application's actors and their options.

    Args:
        dry_run: read and check each message, and move nothing.

    Raises:
        Forbidden: the operator may not enqueue.
        ServiceDown: the broker or the ledger does not answer; recorded messages stay, and the next import continues.
    """
    operator.need(Permission.RUNS_ENQUEUE)
    done = Imported()
    for name, key, why in old.wrong_keys():
        done.refused.append({"queue": name, "id": key, "why": why})
    if not dry_run:
        old.take_back(now=app.clock.now())
    with app.database.read() as connection:
        order = _Order(ledger_moment(connection))
    for queue in old.queues():
        if queue.fetched:
            done.fetched[queue.name] += queue.fetched
        done.readers[queue.name] += queue.readers
        move = _Move(app, broker, old, queue, done, order, dry_run)
        move.waiting()
        if queue.dead:
            move.dead_letters()
    if done.total and not dry_run:
        with app.database.write() as connection:
            record_entry(
                connection, "import", operator, what="broker", target=f"{old.shown} {old.namespace}", count=done.total
            )
    return done


class _Order:
    """Gives messages moments in the order in which they were read, a microsecond apart.

    Runs of a queue with the same moment are ordered by their ids, which are exact only to the millisecond.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._read = 0
        self._at: Counter[datetime] = Counter()

    def place(self, run: NewRun) -> NewRun:
        if run.run_at is None:
            self._read += 1
            return replace(run, run_at=self._now + self._read * _TICK)
        self._at[run.run_at] += 1
        # An eta has whole milliseconds, so one millisecond has room for this many messages.
        return replace(run, run_at=run.run_at + min(self._at[run.run_at] - 1, 999) * _TICK)


class _Move:
    """Moves one queue."""

    def __init__(
        self,
        app: App,
        broker: Broker,
        old: OldBroker,
        queue: OldQueue,
        done: Imported,
        order: _Order,
        dry_run: bool,
    ) -> None:
        self._order = order
        self._app, self._broker, self._old, self._queue, self._done = app, broker, old, queue, done
        self._dry_run = dry_run

    def waiting(self) -> None:
        name, counted = self._queue.name, self._done.delayed if self._queue.is_delayed else self._done.messages
        read = self._old.look if self._dry_run else self._old.take
        skip = 0
        while batch := read(name, skip=skip, count=BATCH):
            runs: dict[bytes, NewRun] = {}
            for old_id, data in batch:
                message = self._decoded(old_id, data)
                run = None if message is None else self._run(old_id, message)
                if run is not None:
                    runs[old_id] = self._order.place(run)
            made = self._record(list(runs.values()))
            counted[q_name(name)] += len(made)
            self._done.known_already += len(runs) - len(made)
            if self._dry_run:
                skip += len(batch)
                continue
            # Refused messages, and those deleted meanwhile, stay aside and are skipped.
            gone = [old_id for old_id, data in batch if data is None]
            self._old.drop(name, [*runs, *gone])
            skip += len(batch) - len(runs) - len(gone)
        if not self._dry_run:
            self._old.give_back(name)

    def dead_letters(self) -> None:
        name, skip = self._queue.name, 0
        while batch := self._old.dead(name, skip=skip, count=BATCH):
            dead_letters = dict(self._read_dead_letters(batch))
            if self._dry_run:
                made = {one.run.id for one in dead_letters.values()}
                skip += len(batch)
            else:
                with self._app.database.write() as connection:
                    made = insert_dead_letters(connection, list(dead_letters.values()))
                gone = [old_id for old_id, data, _ in batch if data is None]
                self._old.drop_dead(name, [*dead_letters, *gone])
                skip += len(batch) - len(dead_letters) - len(gone)
            self._done.dead[name] += len(made)
            self._done.known_already += len(dead_letters) - len(made)

    def _read_dead_letters(
        self, batch: list[tuple[bytes, bytes | None, float]]
    ) -> Iterator[tuple[bytes, ImportedDeadLetter]]:
        for old_id, data, died in batch:
            message = self._decoded(old_id, data)
            if message is None:
                continue
            try:
                died_at = datetime.fromtimestamp(died / 1000, UTC)
            except (ValueError, OverflowError, OSError):
                self._refuse(old_id, f"Its time of death {died} is not a number of milliseconds since 1970.")
                continue
            trace = message.options.get("traceback")
            # A replay begins with a fresh budget.
            options = {name: value for name, value in message.options.items() if name not in (*RETRIED, "eta")}
            run = self._run(old_id, message._replace(options=options))
            if run is not None:
                cause = Cause.EXHAUSTED if trace else Cause.GAVE_UP
                yield old_id, ImportedDeadLetter(run, cause, died_at, *_error(run.kind, trace))

    def _record(self, runs: list[NewRun]) -> set[UUID]:
        if self._dry_run or not runs:
            return {one.id for one in runs}
        with self._app.database.write() as connection:
            made = insert_imported(connection, runs)
            self._app.database.send_notify(connection)
        announce_runs(self._app, [one for one in runs if one.id in made])
        return made

    def _decoded(self, old_id: bytes, data: bytes | None) -> Message[Any] | None:
        if data is None:
            return None
        try:
            message: Message[Any] = Message.decode(data)
            if not isinstance(message.options, dict) or not isinstance(message.actor_name, str):
                raise TypeError("not a dramatiq message")
        except (DecodeError, TypeError, ValueError, KeyError, AttributeError) as error:
            self._refuse(old_id, f"The encoder of this process cannot read it: {str(error).rstrip('.')}.")
            return None
        return message

    def _run(self, old_id: bytes, message: Message[Any]) -> NewRun | None:
        options = {name: value for name, value in message.options.items() if name != "redis_message_id"}
        name = f"{self._old.namespace}\0{self._queue.name}\0".encode() + old_id
        try:
            run = new_run(self._app, self._broker, message._replace(options=options), run_id=_id_of(name, message))
        except (JobsError, TypeError, ValueError, OverflowError) as error:
            self._refuse(old_id, str(error))
            return None
        if message.actor_name not in self._broker.actors:
            self._done.unknown_actors[message.actor_name] += 1
        return run

    def _refuse(self, old_id: bytes, why: str) -> None:
        one = {"queue": self._queue.name, "id": old_id.decode(errors="replace"), "why": " ".join(why.split())}
        self._done.refused.append(one)


def _id_of(name: bytes, message: Message[Any]) -> UUID:
    """A uuid7 that is the same for the same message: its own time, and a digest instead of random bits."""
    digest = int.from_bytes(hashlib.blake2b(name, digest_size=10).digest(), "big")
    stamp = message.message_timestamp
    is_moment = isinstance(stamp, int | float) and math.isfinite(stamp)
    millis = min(max(int(stamp), 0), 2**48 - 1) if is_moment else 0
    high = (millis << 16) | 0x7000 | (digest >> 62 & 0xFFF)
    return UUID(int=high << 64 | 2 << 62 | digest & (2**62 - 1))


def _error(kind: str, trace: Any) -> tuple[str | None, str | None, str | None]:
    """Type, message and fingerprint of the error, from the traceback that dramatiq stores as text."""
    lines = [line for line in str(trace or "").splitlines() if line and not line[0].isspace()]
    if not lines:
        return None, None, None
    name, _, text = lines[-1].partition(": ")
    digest = hashlib.blake2b(f"{kind}\0{name}".encode(errors="replace"), digest_size=6).hexdigest()
    return storable(name)[:MAX_TYPE], storable(text)[:MAX_MESSAGE], digest
