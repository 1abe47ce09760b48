"""Holds of limits and rates that a job asks for, as after a response with Retry-After."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.definition.enqueue_options import MAX_WAIT
from jobs.definition.limits import MAX_SHOWN_KEY, digest_of, limited_kinds, limits_of, text_of
from jobs.errors import EnqueueRefused, NotFound
from jobs.formats.shown import shown
from jobs.ledger.limits.run_holds import hold_name, is_known
from jobs.runtime.steps import write_step
from jobs.runtime.waits import off_loop

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jobs.runtime.transaction import Performing


def hold(run: Performing, name: str, span: timedelta, key: object = None) -> None:
    """See ``Run.hold``."""
    if not isinstance(name, str) or not name:
        raise EnqueueRefused(f"hold() takes the name of a limit or of a rate, got {shown(name)}.")
    if not isinstance(span, timedelta) or not timedelta(0) < span <= MAX_WAIT:
        raise EnqueueRefused(f"hold() takes for_= a timedelta above zero, a hundred years at most, got {shown(span)}.")
    ours = [one for one in limits_of(list(limited_kinds)) if one.name == name]
    if key is not None and ours and all(one.by is None for one in ours):
        raise EnqueueRefused(f"The limit {name} is for all: it has no keys.", hint="Leave key= out.")
    run.refuse_inside("hold()")

    def write(connection: Connection) -> None:
        if not ours and not is_known(connection, name):
            raise NotFound(f"There is no limit or rate {name!r}.", hint="Use a name that a job declares in limits=[…].")
        text = None if key is None else text_of(key)[:MAX_SHOWN_KEY]
        digest = "" if key is None else digest_of(key)
        hold_name(connection, run.id, run.token, (name, digest), span=span, shown=text)

    write_step(run, write)


async def hold_async(run: Performing, name: str, span: timedelta, key: object = None) -> None:
    """See ``Run.hold_async``."""
    await off_loop(run, lambda: hold(run, name, span, key))
