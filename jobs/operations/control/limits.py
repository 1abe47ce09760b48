"""Limits: what they allow and hold, and what operators change of them while everything runs."""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.definition.enqueue_options import MAX_WAIT
from jobs.definition.limit import check_most
from jobs.definition.limits import MAX_SHOWN_KEY, digest_of
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import Conflict, DefinitionError, NotFound, SelectorRefused
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.hand_on import hand_on
from jobs.ledger.limits.overrides import NOTHING, override_of, set_override
from jobs.ledger.limits.reports import LimitRecord, find_limit, limit_keys
from jobs.ledger.limits.reports import list_limits as read_limits
from jobs.ledger.limits.sweep import hand_on_all
from jobs.ledger.operators import audit
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import HIDDEN
from jobs.runtime.context import correlation_id

TARGET = "limit:"
"""The target of an action on a limit: this and the name, with ``#`` and the digest of a key."""


def list_limits(app: App, operator: Operator) -> list[LimitRecord]:
    """Every limit that a worker has declared, by name."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return read_limits(connection)


def show_limit(app: App, operator: Operator, name: str) -> tuple[LimitRecord, list[LimitRecord]]:
    """A limit, and its keys that are in use, that runs are parked on, or for which something is set.

    Raises:
        NotFound: there is none of this name.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = _find(connection, name)
        keys = limit_keys(connection, name)
    if not operator.may(Permission.ARGUMENTS_READ):
        # A key is the value of an argument.
        keys = [replace(one, key=HIDDEN) for one in keys]
    return found, keys


def set_limit(
    app: App,
    operator: Operator,
    name: str,
    *,
    key: str | None = None,
    most: int | None = None,
    hold: timedelta | None = None,
    reason: str | None = None,
) -> LimitRecord:
    """Allow another number, or start nothing for a while; for all keys, or for one. It is in force at once.

    A smaller number interrupts nothing. What an operator sets wins over what code declares, until it is cleared.

    Raises:
        NotFound: there is no limit of this name.
        SelectorRefused: neither ``most`` nor ``hold`` is given, or one is out of range.
    """
    if most is None and hold is None:
        raise SelectorRefused("Nothing is to be set.", hint="Say --most 3, or --hold 10m.")
    if most is not None:
        try:
            check_most(most)
        except DefinitionError as error:
            raise SelectorRefused(error.message, hint=error.hint) from None
    if hold is not None and not timedelta(0) < hold <= MAX_WAIT:
        raise SelectorRefused("A hold is longer than zero, and a hundred years at most.")
    return _change(app, operator, "limit", name, key, reason, most=most, hold=hold)


def clear_limit(
    app: App, operator: Operator, name: str, *, key: str | None = None, reason: str | None = None
) -> LimitRecord:
    """Clear what operators set of a limit, or of one key of it: what code declares is in force again.

    Raises:
        NotFound: there is no limit of this name.
        Conflict: nothing is set.
    """
    return _change(app, operator, "clear_limit", name, key, reason)


def undo_limit(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back what was set before an action. Returns parked runs that have room now.

    Raises:
        Conflict: it has been changed since.
    """
    name, _, digest = action["target"].removeprefix(TARGET).partition("#")
    if override_of(session, (name, digest), lock=True) != action["after"]:
        raise Conflict(f"The limit {name} has been changed since.", hint="Nothing was changed.")
    set_override(session, (name, digest), action["before"])
    return _hand_on(session, (name, digest))


def _change(
    app: App,
    operator: Operator,
    verb: str,
    name: str,
    key: str | None,
    reason: str | None,
    *,
    most: int | None = None,
    hold: timedelta | None = None,
) -> LimitRecord:
    operator.need(Permission.QUEUES_WRITE)
    if key is not None:
        operator.need(Permission.ARGUMENTS_READ)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        limit = _find(connection, name)
        if key is not None and limit.keyed_by is None:
            raise SelectorRefused(f"The limit {name} is for all: it has no keys.", hint="Leave --key out.")
        one: Key = (name, "" if key is None else digest_of(key))
        before = override_of(connection, one, lock=True)
        after = dict(NOTHING)
        if verb == "clear_limit":
            if before == NOTHING:
                raise Conflict(f"Nothing is set of the limit {name}{'' if key is None else ' for this key'}.")
        else:
            after = {
                "set_most": before["set_most"] if most is None else most,
                "hold_until": before["hold_until"] if hold is None else _text(audit.moment(connection) + hold),
            }
        set_override(connection, one, after, shown=None if key is None else key[:MAX_SHOWN_KEY])
        freed = _hand_on(connection, one)
        if freed:
            app.database.send_notify(connection)
        _record(connection, operator, verb, one, reason, before, after)
        changed = find_limit(connection, one)
    announce(app, entries_of(freed))
    assert changed is not None
    return changed


def _hand_on(session: Executor, key: Key) -> list[Freed]:
    return hand_on(session, [key]) if key[1] else hand_on_all(session, key[0])


def _find(session: Executor, name: str) -> LimitRecord:
    found = find_limit(session, (name, ""))
    if found is not None:
        return found
    known = [one.name for one in read_limits(session)]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "A limit is known once a worker has started that declares it."
    raise NotFound(f"There is no limit {name!r}.", hint=hint)


def _record(
    session: Executor,
    operator: Operator,
    verb: str,
    key: Key,
    reason: str | None,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    action_id = new_run_id()
    target = f"{TARGET}{key[0]}#{key[1]}" if key[1] else TARGET + key[0]
    audit.begin(
        session, action_id, verb=verb, actor=operator.name, target=target, reason=reason, expected=1, before=before,
        request_id=correlation_id.get(),
    )  # fmt: skip
    audit.finish(session, action_id, "finished", after=after, done=1)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
