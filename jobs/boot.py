"""Builds the App of this process from the settings: once per process, at first use, and again after a fork.

Declaring jobs imports this module, so it loads the database code only when it builds an App.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import fork_hooks
from jobs.errors import ConfigurationError, LedgerMissing
from jobs.interpreter import quick_imports

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.clock import Clock
    from jobs.database.engine import Database
    from jobs.ready.protocol import ReadyIndex
    from jobs.settings import Settings

EMBEDDED_FILE = "jobs.db"
"""The ledger of the embedded mode, in the current folder."""

_app: App | None = None
_used: App | None = None
_making = threading.RLock()
"""Reentrant: a signal handler may enqueue while its own thread holds this lock."""
_loading = threading.RLock()
"""Held while a thread imports the database code, which a fork waits for: the child would inherit half a module, and its
import lock without the thread that releases it."""
_is_loaded = False
LOADING_SECONDS = 10.0
"""How long a fork waits for that. The import may need a module that the forking thread is importing."""


def _load() -> None:
    """Import the code that enqueues."""
    global _is_loaded
    with _loading, quick_imports():
        import jobs.app
        import jobs.database.engine
        import jobs.database.transactions.coroutines
        import jobs.enqueue.bulk
        import jobs.enqueue.write_path  # noqa: F401

        _is_loaded = True


def current() -> App:
    """The App of this process, built from the environment at first use.

    The code that enqueues is imported before it returns. Its callers import from it afterwards, and then take no import
    lock that a forked child could inherit.

    Raises:
        ConfigurationError: a setting is invalid.
        LedgerMissing: no database is configured, and the current folder holds no ``jobs.db``.
    """
    global _app
    if not _is_loaded:
        _load()
    if _app is None:
        from jobs.settings import Settings

        # SQLAlchemy imports the driver.
        with _loading, _making:
            if _app is None:
                made = build(Settings.read())
                # A signal handler may have built one meanwhile. This one has opened no connection yet.
                _app = _app or made
    return _app


def existing() -> App | None:
    """The App of this process, if one exists already."""
    return _app


def configure(app: App | None = None, /, **settings: Any) -> App:
    """Replace the App of this process: with ``app``, or with one built from these settings and the environment.

    >>> jobs.configure(database_url="postgresql://app@db/app")
    """
    global _app
    from jobs.settings import Settings

    new = app if app is not None else build(Settings.read(**settings))
    with _making:
        old, _app = _app, new
    if old is not None and old is not new:
        old.close()
    return new


@contextmanager
def used(app: App) -> Iterator[None]:
    """Make ``app`` the App of this process inside the block, also for brokers that have a URL of their own.

    After the block the previous App is current again, still open.
    """
    global _app, _used
    with _making:
        before, _app, _used = (_app, _used), app, app
    try:
        yield
    finally:
        with _making:
            _app, _used = before


def in_place_of_all() -> App | None:
    """The App of the innermost ``used`` block; None outside such a block."""
    return _used


def build(settings: Settings, *, clock: Clock | None = None, database: Database | None = None) -> App:
    """An App for these settings. Opens no connection yet.

    Args:
        database: use this database, which was opened with the same settings; None opens one.

    Raises:
        LedgerMissing: no database is configured, and the current folder holds no ``jobs.db``.
    """
    from jobs.app import App
    from jobs.clock import SystemClock

    clock = clock or SystemClock()
    database = database or open_database(settings, clock)
    return App(settings=settings, database=database, ready=_ready(settings, database, clock), clock=clock)


def open_database(settings: Settings, clock: Clock) -> Database:
    """The database that these settings name; opens no connection yet. Raises the same errors as ``build``."""
    from jobs.database.engine import Database

    url = settings.database_url
    if url is None:
        if not Path(EMBEDDED_FILE).is_file():
            raise LedgerMissing(
                f"There is no ledger: JOBS_DATABASE_URL is not set, and {Path.cwd()} holds no {EMBEDDED_FILE}.",
                hint="Set JOBS_DATABASE_URL, or make one here with: jobledger migrate up.",
            )
        url = f"sqlite:///{EMBEDDED_FILE}"
    return Database(url, settings, clock)


def _ready(settings: Settings, database: Database, clock: Clock) -> ReadyIndex | None:
    if settings.redis_url is None:
        return None
    if database.dialect == "sqlite":
        raise ConfigurationError(
            "JOBS_REDIS_URL is set, but a ledger in SQLite serves one machine and uses no ready index.",
            hint="Unset it, or keep the ledger in PostgreSQL.",
        )
    from jobs.ready.guard import GuardedIndex
    from jobs.ready.redis import RedisReadyIndex

    index = RedisReadyIndex(
        settings.redis_url, prefix=f"{settings.redis_prefix}:", ledger=database.ledger_identity, clock=clock
    )
    return GuardedIndex(index, clock)


_forking: list[Any] = []


def _wait_until_loaded() -> None:
    if _loading.acquire(timeout=LOADING_SECONDS):
        _forking.append(_loading)


def _let_loading_go() -> None:
    while _forking:
        _forking.pop().release()


def _forget_after_fork() -> None:
    # A child must not share its parent's sockets. It builds its own App at first use.
    global _app, _making, _loading
    _forking.clear()
    _loading = threading.RLock()
    _making = threading.RLock()
    if _app is not None:
        _app.database.forget()
        _app = None


fork_hooks.register(before=_wait_until_loaded, in_parent=_let_loading_go, in_child=_forget_after_fork)
