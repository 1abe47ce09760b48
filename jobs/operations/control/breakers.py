"""Breakers: which are open and why, and their release by operators."""

from __future__ import annotations

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.breakers import Slice
from jobs.definition.limits import digest_of
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import Conflict, NotFound, SelectorRefused
from jobs.ledger.breakers.canaries import drop_canaries_of
from jobs.ledger.breakers.ends import choose_next, close
from jobs.ledger.breakers.parked import FREE_BATCH
from jobs.ledger.breakers.reports import BreakerRecord, find_breaker, open_keys, open_of
from jobs.ledger.breakers.reports import list_breakers as read_breakers
from jobs.ledger.breakers.slices import lock_breakers, open_slices, set_due
from jobs.ledger.breakers.sweep import free_closed
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.named import not_declared, shown_keys

MAX_CANARIES = 1000
"""Most canaries of one release. Source: decision; more is a release of all."""
TARGET = "breaker:"


def list_breakers(app: App, operator: Operator) -> list[BreakerRecord]:
    """Every breaker that a worker has declared, by name."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return read_breakers(connection)


def show_breaker(app: App, operator: Operator, name: str) -> tuple[BreakerRecord, list[BreakerRecord]]:
    """A breaker, and its keys that are open.

    Raises:
        NotFound: there is none of this name.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        every = read_breakers(connection)
        found = next((one for one in every if one.name == name), None)
        if found is None:
            raise _unknown(name, every)
        keys = open_keys(connection, name)
    return found, shown_keys(operator, keys)


def release(
    app: App,
    operator: Operator,
    what: str,
    *,
    key: str | None = None,
    canary: int | None = None,
    reason: str | None = None,
) -> tuple[int, int]:
    """Close open breakers now, or let some runs go as canaries. Returns how many breakers, and how many runs are ready.

    It cannot be undone: what was released has run.

    Args:
        what: a breaker's name, or the fingerprint of the failure that opened some.
        key: only this key of the breaker.
        canary: let so many parked runs of each go; if all of them succeed it closes, and the first failure opens it
            again. Without it, every parked run is ready at once.

    Raises:
        NotFound: nothing has this name or fingerprint.
        Conflict: it is not open.
        SelectorRefused: ``canary`` is out of range.
    """
    operator.need(Permission.QUEUES_WRITE)
    if key is not None:
        operator.need(Permission.ARGUMENTS_READ)
    if canary is not None and not 1 <= canary <= MAX_CANARIES:
        raise SelectorRefused(f"A release has 1 to {MAX_CANARIES:,} canaries.", hint="To release all, leave it out.")
    check_reason(app, reason)
    freed: list[Freed] = []
    count = 0
    with app.database.read() as connection:
        slices = _find(connection, what, key)
    for one in slices:
        with app.database.write(urgent=True) as connection:
            lock_breakers(connection, [one.name])
            if one not in open_slices(connection, [one]):
                continue
            some = _release(connection, one, canary)
            _record(connection, operator, one, canary, reason, len(some))
            if some:
                app.database.send_notify(connection)
        announce(app, entries_of(some))
        freed += some
        count += 1
        has_more = canary is None and len(some) == FREE_BATCH
        while has_more:
            with app.database.write() as connection:
                some, has_more = free_closed(connection, one)
            announce(app, entries_of(some))
            freed += some
    if not count:
        raise Conflict(f"The breaker {what} is closed already.")
    return count, len(freed)


def _release(session: Executor, one: Slice, canary: int | None) -> list[Freed]:
    if canary is None:
        return close(session, one)
    drop_canaries_of(session, one)
    # Also without a parked run: then the next one that comes is the canary.
    at = set_due(session, one)
    return choose_next(session, one, at, count=canary)


def _find(session: Executor, what: str, key: str | None) -> list[Slice]:
    breaker = find_breaker(session, Slice(what, ""))
    if breaker is None:
        found = open_of(session, fingerprint=what) if key is None else []
        if not found:
            raise _unknown(what, read_breakers(session))
        return found
    if key is not None and breaker.keyed_by is None:
        raise SelectorRefused(f"The breaker {what} is for all: it has no keys.", hint="Leave --key out.")
    found = open_of(session, name=what, digest=None if key is None else digest_of(key))
    if not found:
        raise Conflict(f"The breaker {what} is not open{'' if key is None else ' for this key'}.")
    return found


def _unknown(what: str, every: list[BreakerRecord]) -> NotFound:
    message = f"There is no breaker {what!r}, and none is open by a failure of this fingerprint."
    return not_declared("breaker", message, what, every)


def _record(
    session: Executor, operator: Operator, one: Slice, canary: int | None, reason: str | None, done: int
) -> None:
    target = f"{TARGET}{one.name}#{one.digest}" if one.digest else TARGET + one.name
    record_finished(
        session, "release_breaker", operator, target=target, reason=reason, before={"canary": canary}, count=done
    )
