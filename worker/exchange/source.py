"""Sources of claims. They wait for work, and query the ledger no more often than necessary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobs.app import App
from jobs.database.postgres.driver import Listener
from jobs.database.sql import Executor
from jobs.database.sqlite.change_watch import DataVersion
from jobs.errors import JobsError, LedgerRefused
from jobs.events import ServiceFailed
from jobs.formats.queue_weights import Served
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim import claim_due, seconds_until_due
from worker.exchange.queue_turns import Turns


class Source(Protocol):
    """Something that claims due runs."""

    def queues(self) -> Sequence[str]:
        """The queues served, in order."""
        ...

    def claim(self, count: int, *, wait_seconds: float, kinds: Sequence[str] | None = None) -> list[Claim]:
        """Up to ``count`` claims of these kinds (None: all known kinds). Waits for the first at most ``wait_seconds``.

        Runs of other kinds keep their places. After a call that found nothing, further calls are cheap until
        something changes.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        ...

    def close(self) -> None: ...


class Wakeup(Protocol):
    """Waits for changes of the ledger."""

    def wait_for_change(self, seconds: float) -> bool: ...

    def found(self) -> None:
        """Record that there was work."""
        ...

    def close(self) -> None: ...


class LedgerSource:
    """Claims from the ledger directly. When no run is due, it waits for a change or for the next due moment."""

    def __init__(
        self,
        app: App,
        *,
        queues: Sequence[str],
        kinds: Sequence[str],
        worker: str,
        wakeup: Wakeup,
        turns: Turns | None = None,
    ) -> None:
        self._app = app
        self.turns = turns or Turns([Served(queue) for queue in queues])
        self._queues = tuple(queues)
        self._kinds = tuple(kinds)
        self._worker = worker
        self._wakeup = wakeup
        self._dry: set[Sequence[str] | None] = set()
        self._due_at: float | None = None

    def queues(self) -> Sequence[str]:
        return self._queues

    def claim(self, count: int, *, wait_seconds: float, kinds: Sequence[str] | None = None) -> list[Claim]:
        if kinds in self._dry:
            if not self._is_time(wait_seconds):
                return []
            self._dry.clear()
        wanted = self._kinds if kinds is None else kinds
        claims: list[Claim] = []
        try:
            # In one transaction for all queues, so that no claim is lost if the ledger goes down between two queues.
            with self._app.database.write(alone=len(self._queues) == 1) as connection:
                order = self.turns.order()
                for queue in order:
                    claims += self._claim_of(connection, queue, count - len(claims), wanted)
                    if len(claims) >= count:
                        break
                self.turns.took(order, (one.queue for one in claims), count=count)
                if not claims:
                    self._note_dry(connection, kinds)
        except LedgerRefused:
            if len(self._queues) == 1:
                raise
            claims = self._claim_apart(count, wanted)
        if claims:
            self._wakeup.found()
        return claims

    def _claim_of(self, connection: Executor, queue: str, count: int, kinds: Sequence[str]) -> list[Claim]:
        lease = self._app.settings.lease
        return claim_due(connection, queue, count=count, kinds=kinds, worker=self._worker, lease=lease)

    def _claim_apart(self, count: int, kinds: Sequence[str]) -> list[Claim]:
        """One transaction per queue, so that an error with one queue does not stop the others.

        Raises:
            LedgerRefused: the ledger refused the claim from one queue, and no other queue had runs.
        """
        claims: list[Claim] = []
        refused: LedgerRefused | None = None
        for queue in self.turns.order():
            if len(claims) < count:
                try:
                    with self._app.database.write(alone=True) as connection:
                        claims += self._claim_of(connection, queue, count - len(claims), kinds)
                except LedgerRefused as error:
                    refused = error
                    self._app.events.emit([ServiceFailed("ledger", "claim", f"Queue {queue}: {error}")])
        if refused is not None and not claims:
            raise refused
        return claims

    def _note_dry(self, connection: Executor, kinds: Sequence[str] | None) -> None:
        self._dry.add(kinds)
        spans = [seconds_until_due(connection, queue) for queue in self._queues]
        until_due = min((one for one in spans if one is not None), default=None)
        # The ledger's time, converted to the monotonic clock: this machine's clock may be wrong by hours.
        self._due_at = None if until_due is None else self._app.clock.monotonic() + until_due

    def close(self) -> None:
        self._wakeup.close()

    def _is_time(self, wait_seconds: float) -> bool:
        """Wait for a change, or for the next due moment. Returns whether one of them came."""
        if self._due_at is not None:
            until_due = self._due_at - self._app.clock.monotonic()
            if until_due <= wait_seconds:
                self._wakeup.wait_for_change(max(0.0, until_due))
                return True
        return self._wakeup.wait_for_change(wait_seconds)


class SqliteWakeup:
    """Notices commits of other connections to the same file, also those of this process."""

    def __init__(self, app: App) -> None:
        self._connection = app.database.engine.connect()
        raw = self._connection.connection.driver_connection
        assert raw is not None
        self._version = DataVersion(lambda: int(raw.execute("PRAGMA data_version").fetchone()[0]), clock=app.clock)

    def wait_for_change(self, seconds: float) -> bool:
        return self._version.wait_for_change(seconds)

    def found(self) -> None:
        """There was work: more may come soon."""
        self._version.note_activity()

    def close(self) -> None:
        self._connection.close()


class PollingWakeup:
    """Polls without notifications: seldom while nothing happens, and often after there was work."""

    def __init__(self, app: App, *, shortest: float = 0.02, longest: float = 1.0) -> None:
        self._app = app
        self._shortest = shortest
        self._longest = longest
        self._pause = shortest
        self._look_at = 0.0

    def wait_for_change(self, seconds: float) -> bool:
        clock = self._app.clock
        clock.sleep(max(0.0, min(self._look_at - clock.monotonic(), seconds)))
        if clock.monotonic() < self._look_at:
            return False
        self._look_at = clock.monotonic() + self._pause * (0.75 + clock.rng.random() / 2)
        self._pause = min(self._longest, self._pause * 1.5)
        return True

    def found(self) -> None:
        """There was work: more may come soon."""
        self._pause = self._shortest
        self._look_at = 0.0

    def close(self) -> None:
        pass


class ListeningWakeup:
    """Uses NOTIFY for enqueues and retries, and also polls: seldom, but often while it cannot listen."""

    POLL_SECONDS = 5.0
    """Seconds between polls. Source: decision; a change without a NOTIFY (a rescue, a replay by an older release) is
    noticed this late at most."""
    AGAIN_SECONDS = 5.0

    def __init__(self, app: App, listener: Listener) -> None:
        self._app = app
        self._listener = listener
        self._polling = PollingWakeup(app)
        self._listen_at = 0.0
        self._poll_at = 0.0

    def wait_for_change(self, seconds: float) -> bool:
        clock = self._app.clock
        if clock.monotonic() < self._listen_at:
            return self._polling.wait_for_change(seconds)
        try:
            heard = self._listener.heard(seconds)
        except JobsError as error:
            self._listen_at = clock.monotonic() + self.AGAIN_SECONDS * (0.75 + clock.rng.random() / 2)
            self._app.events.emit([ServiceFailed("ledger", "listen", str(error))])
            return True
        if heard or clock.monotonic() >= self._poll_at:
            self._poll_at = clock.monotonic() + self.POLL_SECONDS * (0.75 + clock.rng.random() / 2)
            return True
        return False

    def found(self) -> None:
        self._polling.found()

    def close(self) -> None:
        self._listener.close()
