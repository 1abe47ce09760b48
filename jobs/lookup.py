"""Reading back: a run by its id, for application code."""

from __future__ import annotations

from uuid import UUID

from jobs import boot
from jobs.errors import NotFound
from jobs.ledger import cancel as cancelling
from jobs.ledger import find as finding
from jobs.ledger.records import AttemptRecord, RunRecord
from jobs.states import RunState


def find(run_id: UUID | str) -> RunRecord:
    """The run with this id.

    Raises:
        NotFound: there is none.
    """
    with boot.current().database.read() as connection:
        run = finding.find_run(connection, _uuid(run_id))
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def attempts(run_id: UUID | str) -> list[AttemptRecord]:
    """The attempts of a run, first to last; none if it was never tried."""
    with boot.current().database.read() as connection:
        return finding.list_attempts(connection, _uuid(run_id))


def cancel(run_id: UUID | str, *, reason: str | None = None) -> RunState:
    """Cancel a run: at once if it waits; if it is running, its job is interrupted.

    Raises:
        NotFound: there is no such run, or it has ended.
    """
    with boot.current().database.write(urgent=True) as connection:
        state = cancelling.cancel(connection, _uuid(run_id), reason=reason)
    if state is None:
        raise NotFound(f"There is no live run {run_id} to cancel.")
    return state


def _uuid(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except ValueError:
        raise NotFound(f"{value!r} is not a run id.") from None
