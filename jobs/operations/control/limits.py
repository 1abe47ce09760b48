"""Limits and rates: what they allow and hold, and what operators change of them while everything runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.enqueue_options import MAX_WAIT
from jobs.definition.limit import check_most
from jobs.definition.limits import MAX_SHOWN_KEY, digest_of
from jobs.definition.rate import check_rate
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import Conflict, DefinitionError, SelectorRefused
from jobs.formats.rate import parse_rate
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.overrides import NOTHING, clear_run_hold, override_of, set_override
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.limits.replan import replan
from jobs.ledger.limits.reports import LimitRecord, find_limit, limit_keys
from jobs.ledger.limits.reports import list_limits as read_limits
from jobs.ledger.limits.sweep import reassign_all
from jobs.ledger.moment import ledger_moment
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.named import not_declared, shown_keys

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
    return found, shown_keys(operator, keys)


def set_limit(
    app: App,
    operator: Operator,
    name: str,
    *,
    key: str | None = None,
    most: int | None = None,
    rate: str | None = None,
    hold: timedelta | None = None,
    reason: str | None = None,
) -> LimitRecord:
    """Allow another number or rate, or start nothing for a while; for all keys, or for one. It is in force at once.

    A smaller number interrupts nothing. What an operator sets wins over what code declares, until it is cleared. After
    another rate, the slots of parked runs are planned anew, in the same order.

    Args:
        rate: such as ``100/m``.

    Raises:
        NotFound: there is no limit of this name.
        SelectorRefused: nothing is given, or something is out of range or does not fit the limit.
    """
    if most is None and hold is None and rate is None:
        raise SelectorRefused("Nothing is to be set.", hint="Say --most 3, --rate 100/m, or --hold 10m.")
    try:
        if most is not None:
            check_most(most)
        paced = None if rate is None else parse_rate(rate)
        if paced is not None:
            check_rate(*paced)
    except DefinitionError as error:
        raise SelectorRefused(error.message, hint=error.hint) from None
    except ValueError as error:
        raise SelectorRefused(f"{error}.") from None
    if hold is not None and not timedelta(0) < hold <= MAX_WAIT:
        raise SelectorRefused("A hold is longer than zero, and a hundred years at most.")
    return _change(app, operator, "limit", name, key, reason, most=most, rate=paced, hold=hold)


def clear_limit(
    app: App, operator: Operator, name: str, *, key: str | None = None, reason: str | None = None
) -> LimitRecord:
    """Clear what operators set of a limit, or of one key of it: what code declares is in force again.

    Holds that runs asked for end, too; undoing it does not restore those.

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
    # An action of an earlier release knows nothing of rates.
    before, after = {**NOTHING, **action["before"]}, {**NOTHING, **action["after"]}
    if override_of(session, (name, digest), lock=True) != after:
        raise Conflict(f"The limit {name} has been changed since.", hint="Nothing was changed.")
    set_override(session, (name, digest), before)
    return _make_ready(session, (name, digest), after, before)


def _change(
    app: App,
    operator: Operator,
    verb: str,
    name: str,
    key: str | None,
    reason: str | None,
    *,
    most: int | None = None,
    rate: tuple[int, timedelta] | None = None,
    hold: timedelta | None = None,
) -> LimitRecord:
    operator.need(Permission.QUEUES_WRITE)
    if key is not None:
        operator.need(Permission.ARGUMENTS_READ)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        limit = _find(connection, name)
        _check_fit(limit, key, most, rate)
        one: Key = (name, "" if key is None else digest_of(key))
        before = override_of(connection, one, lock=True)
        after = dict(NOTHING)
        is_run_hold = verb == "clear_limit" and clear_run_hold(connection, one)
        if verb == "clear_limit":
            if before == NOTHING and not is_run_hold:
                raise Conflict(f"Nothing is set of the limit {name}{'' if key is None else ' for this key'}.")
        else:
            after = {
                "set_most": before["set_most"] if most is None else most,
                "set_rate": before["set_rate"] if rate is None else [rate[0], rate[1].total_seconds()],
                "hold_until": before["hold_until"] if hold is None else _text(ledger_moment(connection) + hold),
            }
        set_override(connection, one, after, shown=None if key is None else key[:MAX_SHOWN_KEY])
        freed = _make_ready(connection, one, before, after, is_released=is_run_hold)
        if freed:
            app.database.send_notify(connection)
        _record(connection, operator, verb, one, reason, before, after)
        changed = find_limit(connection, one)
    announce(app, entries_of(freed))
    assert changed is not None
    return changed


def _check_fit(limit: LimitRecord, key: str | None, most: int | None, rate: tuple[int, timedelta] | None) -> None:
    """Refuse what the code's limit of this name has no place for."""
    name, is_limit, is_rate = limit.name, limit.most is not None, limit.rate is not None
    if most is not None and not is_limit and is_rate:
        raise SelectorRefused(f"{name} is a rate, without a number of runs at once.", hint="Say --rate 100/m.")
    if rate is not None and not is_rate:
        raise SelectorRefused(f"{name} is no rate: code declares no Rate(…) of this name.", hint="Say --most 3.")
    if key is None:
        return
    has_keys = limit.keyed_by is not None or limit.rate_keyed_by is not None
    if not has_keys:
        raise SelectorRefused(f"The limit {name} is for all: it has no keys.", hint="Leave --key out.")
    if (most is not None and limit.keyed_by is None) or (rate is not None and limit.rate_keyed_by is None):
        raise SelectorRefused(
            f"Of {name}, only the {'rate' if limit.keyed_by is None else 'limit'} has keys.", hint="Leave --key out."
        )


def _make_ready(
    session: Executor, key: Key, before: dict[str, Any], after: dict[str, Any], *, is_released: bool = False
) -> list[Freed]:
    """Make parked runs ready: as far as a limit has room, and all of a rate whose slots are not valid any more."""
    freed = reassign(session, [key]) if key[1] else reassign_all(session, key[0])
    ends_hold = before["hold_until"] is not None and after["hold_until"] != before["hold_until"]
    if is_released or ends_hold or before["set_rate"] != after["set_rate"]:
        freed += replan(session, key)
    return freed


def _find(session: Executor, name: str) -> LimitRecord:
    found = find_limit(session, (name, ""))
    if found is None:
        raise not_declared("limit", f"There is no limit {name!r}.", name, read_limits(session))
    return found


def _record(
    session: Executor,
    operator: Operator,
    verb: str,
    key: Key,
    reason: str | None,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    target = f"{TARGET}{key[0]}#{key[1]}" if key[1] else TARGET + key[0]
    record_finished(session, verb, operator, target=target, reason=reason, before=before, after=after)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
