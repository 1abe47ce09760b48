"""Chooses where a process claims its runs, and what wakes it: by the ledger's dialect and the ready index."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.app import App
from jobs.database.own_connection import OwnConnection
from jobs.upkeep.loop import Upkeep
from worker.exchange.queue_turns import Turns
from worker.exchange.ready_source import ReadySource
from worker.exchange.source import LedgerSource, Source
from worker.exchange.wakeups import ListeningWakeup, PollingWakeup, SqliteWakeup, Wakeup


def choose_source(app: App, turns: Turns, upkeep: Upkeep, *, kinds: Sequence[str], worker: str) -> Source:
    """The source of a process that serves the queues of ``turns``."""
    own = app.database.own_connection(listens=True)
    ledger = LedgerSource(
        app,
        queues=list(turns.names),
        kinds=kinds,
        worker=worker,
        wakeup=_wakeup(app, own),
        turns=turns,
        own=own,
    )
    if app.ready is None:
        return ledger
    return ReadySource(
        app,
        app.ready,
        ledger,
        kinds=kinds,
        worker=worker,
        on_loss=upkeep.check_index_now,
        on_nothing=upkeep.found_nothing,
    )


def _wakeup(app: App, own: OwnConnection | None) -> Wakeup:
    if own is None:
        return SqliteWakeup(app)
    return ListeningWakeup(app, own) if own.listens else PollingWakeup(app)
