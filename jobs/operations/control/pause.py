"""Pauses queues and kinds: their runs are not claimed until they are resumed or the pause is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.options import MAX_KIND, MAX_QUEUE, check_name
from jobs.errors import Conflict, NotFound
from jobs.formats.nearest import did_you_mean
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import queues
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight.names import known_names


def pause(
    app: App,
    operator: Operator,
    what: str,
    name: str,
    *,
    reason: str | None = None,
    span: timedelta | None = None,
    is_new: bool = False,
) -> dict[str, Any]:
    """Pause a ``queue`` or a ``kind``; running runs go on. Returns the pause.

    Raises:
        NotFound: no run and no worker knows the name, and ``is_new`` is false.
    """
    check_known(app, operator, what, name, reason, is_new=is_new)
    with app.database.write(urgent=True) as connection:
        before = queues.pause_of(connection, what, name)
        now = ledger_moment(connection)
        after = _pause(now, operator.name, reason, None if span is None else now + span)
        queues.set_pause(connection, what, name, after)
        record_finished(
            connection, "pause", operator, target=f"{what}:{name}", reason=reason, before=before, after=after
        )
    return after


def resume(app: App, operator: Operator, what: str, name: str, *, reason: str | None = None) -> dict[str, Any]:
    """End a pause. Returns the ended pause.

    Raises:
        Conflict: there is none.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = queues.pause_of(connection, what, name)
        if before is None:
            raise Conflict(f"The {what} {name} is not paused.")
        queues.set_pause(connection, what, name, None)
        record_finished(connection, "resume", operator, target=f"{what}:{name}", reason=reason, before=before)
    return before


def undo_pause(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back the pause that a queue or kind had before an action. Workers see it by themselves.

    Raises:
        Conflict: it has been paused or resumed since.
    """
    what, _, name = action["target"].partition(":")
    if queues.pause_of(session, what, name) != action["after"]:
        raise Conflict(f"The {what} {name} has been paused or resumed since.", hint="Nothing was changed.")
    queues.set_pause(session, what, name, action["before"])
    return []


def check_known(app: App, operator: Operator, what: str, name: str, reason: str | None, *, is_new: bool) -> None:
    """Check that ``operator`` may change the ``queue`` or ``kind``, that it is known or new, and the reason.

    Raises:
        NotFound: no run and no worker knows the name, and ``is_new`` is false.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    known = known_names(app, Operator(operator.name), what)
    if name not in known and not is_new:
        hint = did_you_mean(name, known, otherwise="If it has no run yet, say --new.")
        raise NotFound(f"No run and no worker knows the {what} {name!r}.", hint=hint)
    if name not in known:
        check_name(name, what=what, longest=MAX_KIND if what == "kind" else MAX_QUEUE)


def _pause(now: datetime, by: str, reason: str | None, until: datetime | None) -> dict[str, Any]:
    return {
        "paused_at": now.isoformat(timespec="microseconds"),
        "paused_until": until.isoformat(timespec="microseconds") if until else None,
        "paused_by": by,
        "pause_reason": reason,
    }
