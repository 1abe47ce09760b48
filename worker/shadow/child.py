"""Performs one shadow run in a forked child: on its private ledger, behind the guard, within its limits."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobs import boot
from jobs.app import App
from jobs.database.engine import Database
from jobs.database.rollback_only import RollbackOnly
from jobs.definition import registry
from jobs.ledger.blobs.blob_errors import StoredMissing
from jobs.ledger.blobs.content import LEDGER
from jobs.ledger.bundles import perform
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs.claim import claim as claim_runs
from jobs.settings import Settings
from jobs.states import Outcome
from worker.attempt.call import without_loop
from worker.children.memory import limit_growth
from worker.shadow.guard import ConnectionGuard
from worker.shadow.run import ShadowAttempts, ShadowRun, closing

WORKER = "shadow"
_ENDS = {Outcome.SUCCEEDED: ("succeeded", "ended"), Outcome.CANCELLED: ("cancelled", "ended")}


def perform_shadow(order: dict[str, Any]) -> dict[str, Any]:
    """Perform the run of ``order`` and describe what came of it, as JSON data.

    Args:
        order: ``run_id``; ``ledger``, the file of the private copy; ``database_url`` of the application's tables, or
            None; ``allow``, pairs of host and port; ``settings``.
    """
    run_id = UUID(order["run_id"])
    settings = Settings.of(**order["settings"])
    tables = _open_tables(order["database_url"], settings)
    with closing(tables):
        private: dict[str, Any] = {"database_url": f"sqlite:///{order['ledger']}", "store": LEDGER}
        if settings.store_above is not None:
            # In the rows: the answer has the result, and what was enqueued.
            private |= dict.fromkeys(("max_argument_bytes", "max_result_bytes"), settings.max_stored_bytes)
            private["store_above"] = None
        app = boot.configure(boot.build(settings.model_copy(update=private)))
        app.database.enqueues_apart = True
        guard = ConnectionGuard(allow=[(host, port) for host, port in order["allow"]], files=[order["ledger"]])
        with app.database.write() as connection:
            claims = claim_runs(connection, [run_id], kinds=registry.names(), worker=WORKER, lease=timedelta(days=365))
        if not claims:
            return {"is_unknown": True}
        known = _known(app)
        by_kernel = guard.install()
        memory = registry.get(claims[0].kind).options.memory
        if memory is not None:
            limit_growth(memory)
        result, run = _attempt(app, tables, claims[0])
        return {**_described(app, run_id, result, run, known), "blocked": guard.blocked, "by_kernel": by_kernel}


def _open_tables(url: str | None, settings: Settings) -> RollbackOnly | None:
    if url is None:
        return None
    tables = RollbackOnly(Database(url, settings))
    tables.open()
    return tables


def _known(app: App) -> set[UUID]:
    with app.database.read() as connection:
        return perform.run_ids(connection)


def _attempt(app: App, tables: RollbackOnly | None, claim: Claim) -> tuple[AttemptResult, ShadowRun]:
    attempts = ShadowAttempts(app, worker=WORKER, tables=tables)
    result, run = attempts.attempt(claim, lambda fn: without_loop(fn)(), stop=threading.Event())
    assert isinstance(run, ShadowRun)
    return result, run


def _described(app: App, run_id: UUID, result: AttemptResult, run: ShadowRun, known: set[UUID]) -> dict[str, Any]:
    beyond = list(run.beyond)
    if result.outcome is Outcome.SUSPENDED and result.held_on is not None:
        beyond.append(f"waits for {result.held_on}")
    if isinstance(result.error, StoredMissing):
        # It was too large for the private copy, or is gone.
        beyond.append(f"reads the stored value {result.error.blob_id}")
    failure = result.failure
    with app.database.read() as connection:
        new = perform.new_runs(connection, known)
        states = _ENDS.get(result.outcome, ("dead", "ended") if result.cause is not None else ())
        followups = perform.followups_on(connection, run_id, states)
    return {
        "outcome": result.outcome.value,
        "result": result.result,
        "error": f"{failure.type}: {failure.message}" if failure is not None else None,
        "fingerprint": failure.fingerprint if failure is not None else None,
        "beyond": beyond,
        "enqueued": [_call(one) for one in new],
        "followups": followups,
    }


def _call(run: RunRecord) -> dict[str, Any]:
    return {"kind": run.kind, "queue": run.queue, "key": run.key, "arguments": run.arguments}


def silence() -> None:
    """Send what the job prints nowhere: the parent reads one answer, and nothing else."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
