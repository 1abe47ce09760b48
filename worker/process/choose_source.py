"""Chooses where a process claims its runs, and what wakes it: by the ledger's dialect and the ready index."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.app import App
from jobs.upkeep.loop import Upkeep
from worker.exchange.queue_turns import Turns
from worker.exchange.ready_source import ReadySource
from worker.exchange.source import LedgerSource, Source
from worker.exchange.wakeups import ListeningWakeup, PollingWakeup, SqliteWakeup, Wakeup


def choose_source(app: App, turns: Turns, upkeep: Upkeep, *, kinds: Sequence[str], worker: str) -> Source:
    """The source of a process that serves the queues of ``turns``."""
    ledger = LedgerSource(
        app,
        queues=list(turns.names),
        kinds=kinds,
        worker=worker,
        wakeup=_wakeup(app),
        turns=turns,
        own=app.database.own_connection(),
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


def _wakeup(app: App) -> Wakeup:
    listener = app.database.listener()
    if app.database.dialect == "sqlite":
        return SqliteWakeup(app)
    return PollingWakeup(app) if listener is None else ListeningWakeup(app, listener)
