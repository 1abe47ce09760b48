"""The end of a run that wrote through ``self.run.transaction()``: its writes and its success are one commit."""

from __future__ import annotations

from jobs.app import App
from jobs.errors import LeaseLost
from jobs.ledger.records import Ending, Settled
from jobs.ledger.settle import settle
from jobs.run import Run
from jobs.states import RunState
from worker.attempt import Attempts


def commit(app: App, attempts: Attempts, ending: Ending, run: Run, *, worker: str) -> Settled | None:
    """Record the success in the job's own transaction: its writes and its end are one commit, or none.

    Returns where the run now is. None: the writes are undone, because the lease is lost, the run was cancelled
    or the commit failed; the settler tells the rest by what ``ending`` now says.
    """
    session = run.session
    assert session is not None
    try:
        with app.database.translated():
            settled, _ = settle(
                session,
                [ending],
                worker=worker,
                poison_after=app.settings.poison_after,
                monotonic=app.clock.monotonic(),
            )
            if not settled or settled[0][1].state is not RunState.SUCCEEDED:
                raise LeaseLost(f"The lease of run {run.id} is lost.")
            run.commit()
        return settled[0][1]
    except LeaseLost:
        run.rollback()
    except BaseException as error:
        run.rollback()
        attempts.undo(ending, error)
    return None
