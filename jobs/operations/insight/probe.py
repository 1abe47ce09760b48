"""Tries each part that a process needs and leaves nothing behind, for ``jobledger check``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import ServiceDown
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.moment import ledger_moment
from jobs.ledger.records import NewRun
from jobs.migration import schema

NOTIFY_SECONDS = 5.0
"""How long a notification may take. Source: decision; one takes a millisecond."""
DRIFT_SECONDS = 1.0


class _Undo(Exception):
    """Rolls the trial back."""


def probe(app: App) -> Iterator[tuple[str, str]]:
    """Try each part in turn; yields its name and a description of its state.

    Raises:
        ServiceDown: a part does not work; the error has its message and what to do.
        LedgerMissing: there are no tables.
        SchemaMismatch: the tables are not this release's.
    """
    schema.check(app.database)
    _write(app, new_run_id())
    yield "database", f"well ({app.database.shown})"
    yield "clock", _clock(app)
    if app.database.sends_notify:
        _wait_for_own_notify(app)
        yield "notify", "well"
    if app.ready is not None:
        app.ready.probe()
        yield "index", "well"


def _write(app: App, run_id: UUID) -> None:
    """Record a run, and undo it: this checks the rights, the disk and the server's mode."""
    trial = NewRun(id=run_id, kind="jobledger check", queue="jobledger check", arguments="{}", max_attempts=1)
    try:
        with app.database.write(urgent=True) as connection:
            insert_runs(connection, [trial])
            raise _Undo
    except _Undo:
        pass


def _clock(app: App) -> str:
    with app.database.read() as connection:
        drift = (app.clock.now() - ledger_moment(connection)).total_seconds()
    if abs(drift) < DRIFT_SECONDS:
        return "well"
    side = "ahead of" if drift > 0 else "behind"
    return f"this machine's is {abs(drift):.0f} s {side} the ledger's, by which runs are due"


def _wait_for_own_notify(app: App) -> None:
    listener = app.database.listener()
    if listener is None:
        return
    with closing(listener):
        # The first answer means that it listens from now on.
        listener.wait_for_notify(0)
        with app.database.write() as connection:
            app.database.send_notify(connection)
        if not listener.wait_for_notify(NOTIFY_SECONDS):
            raise ServiceDown(
                f"The ledger at {app.database.shown} delivers no NOTIFY within {NOTIFY_SECONDS:.0f} s.",
                hint="Behind pgbouncer set JOBS_PGBOUNCER=1; elsewhere JOBS_NOTIFY=0 makes workers poll.",
            )
