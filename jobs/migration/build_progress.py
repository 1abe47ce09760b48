"""Says how far PostgreSQL is with an index build, while the connection that builds it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

EVERY_SECONDS = 5.0
"""How often the progress is shown. Source: decision; a line a screen for each two minutes."""
_PROGRESS = text("""
select phase, current_locker_pid, case
    when blocks_total > 0 then 100.0 * blocks_done / blocks_total
    when tuples_total > 0 then 100.0 * tuples_done / tuples_total end
from pg_stat_progress_create_index where pid = :pid
""")


@contextmanager
def showing_progress(connection: Connection, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """While the block builds the index ``name`` on ``connection``, say every few seconds how far it is.

    The progress has a connection of its own. If the server gives none, the build goes on in silence.
    """
    pid = connection.scalar(select(func.pg_backend_pid()))
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(connection.engine, pid, name, say, ended), name="jobs-index-progress", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(EVERY_SECONDS)


def _watch(engine: Engine, pid: int, name: str, say: Callable[[str], None], ended: threading.Event) -> None:
    while not ended.wait(EVERY_SECONDS):
        try:
            with engine.connect() as plain:
                other = plain.execution_options(isolation_level="AUTOCOMMIT")
                found = other.execute(_PROGRESS, {"pid": pid}).one_or_none()
        except SQLAlchemyError:
            return
        if found is not None and not ended.is_set():
            phase, locker, percent = found
            done = f", {percent:.0f} %" if percent is not None else ""
            waits = f", for the transaction of process {locker}" if locker else ""
            say(f"index {name}: {phase}{done}{waits}")
