"""Wakeups: wait until the ledger has changed, by NOTIFY, by SQLite's data version, or by polling."""

from __future__ import annotations

from typing import Protocol

from jobs.app import App
from jobs.database.own_connection import OwnConnection
from jobs.database.postgres.listener import Listener
from jobs.database.sqlite.change_watch import DataVersion
from jobs.errors import JobsError
from jobs.events import ServiceFailed


class Wakeup(Protocol):
    """Waits for changes of the ledger."""

    reports_every_change: bool
    """Whether it notices every change since the last claim, so that a claim of all that was due needs no second."""

    def wait_for_change(self, seconds: float) -> bool: ...

    def found(self) -> None:
        """Record that there was work."""
        ...

    def close(self) -> None: ...


class SqliteWakeup:
    """Notices commits of other connections to the same file, also those of this process."""

    reports_every_change = False  # It cannot tell a claim's own commit from a new run.

    def __init__(self, app: App) -> None:
        self._connection = app.database.engine.connect()
        raw = self._connection.connection.driver_connection
        assert raw is not None
        self._version = DataVersion(lambda: int(raw.execute("PRAGMA data_version").fetchone()[0]), clock=app.clock)

    def wait_for_change(self, seconds: float) -> bool:
        return self._version.wait_for_change(seconds)

    def found(self) -> None:
        """There was work: more may come soon."""
        self._version.record_activity()

    def close(self) -> None:
        self._connection.close()


class PollingWakeup:
    """Polls without notifications: seldom while nothing happens, and often after there was work."""

    reports_every_change = False

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
    reports_every_change = True

    def __init__(self, app: App, listener: Listener | OwnConnection) -> None:
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
            is_notified = self._listener.wait_for_notify(seconds)
        except JobsError as error:
            self._listen_at = clock.monotonic() + self.AGAIN_SECONDS * (0.75 + clock.rng.random() / 2)
            self._app.events.emit([ServiceFailed("ledger", "listen", str(error))])
            return True
        if is_notified or clock.monotonic() >= self._poll_at:
            self._poll_at = clock.monotonic() + self.POLL_SECONDS * (0.75 + clock.rng.random() / 2)
            return True
        return False

    def found(self) -> None:
        self._polling.found()

    def close(self) -> None:
        self._listener.close()
