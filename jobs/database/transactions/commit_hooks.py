"""Acts after a transaction of the application has committed, and forgets it after a rollback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, event

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

Notify: TypeAlias = "partial[None]"
"""A function to call with a list of items. Equal functions with equal arguments are called once, with all items."""
AfterCommit = Callable[[Sequence[Any], Notify], None]

_PENDING, _OWN = "jobs_pending", "jobs_own"


def never(items: Sequence[Any], notify: Notify) -> None:
    """For a driver that reports no commit: workers find the run by NOTIFY, or by their next poll."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A transaction of the application.

    Attributes:
        connection: executes our statements in it.
        after_commit: calls a function with items once the transaction has committed, and with the other items that it
            was given in the same transaction. A rollback forgets them. An item of a SAVEPOINT that was rolled back by a
            statement, and not by SQLAlchemy's session, may be told.
    """

    connection: Connection
    after_commit: AfterCommit = never


@dataclass(slots=True)
class _Pending:
    """What to tell once a transaction has committed."""

    entries: list[tuple[tuple[SessionTransaction, ...], Notify, Sequence[Any]]] = field(default_factory=list)
    """Each with the transactions and SAVEPOINTs around it."""

    def add(self, items: Sequence[Any], notify: Notify, around: tuple[SessionTransaction, ...] = ()) -> None:
        self.entries.append((around, notify, items))

    def forget(self, rolled_back: SessionTransaction) -> None:
        self.entries = [one for one in self.entries if rolled_back not in one[0]]

    def notify_all(self) -> None:
        entries, self.entries = self.entries, []
        calls: list[tuple[Notify, list[Any]]] = []
        for _, notify, items in entries:
            same = next((known for one, known in calls if one.func is notify.func and one.args == notify.args), None)
            if same is None:
                calls.append((notify, list(items)))
            else:
                same.extend(items)
        for notify, collected in calls:
            notify(collected)


def joined_session(session: Session, connection: Connection) -> Joined:
    """The transaction of a session; ``connection`` is its own on the ledger's database."""
    if _OWN not in session.info and isinstance(session.bind, Connection):
        # The session joined a transaction that goes on after its own commit.
        return joined_connection(connection)
    return Joined(connection, lambda items, notify: _after_session(session, items, notify))


def joined_connection(connection: Connection) -> Joined:
    """The transaction of a Core connection."""
    return Joined(connection, lambda items, notify: _after_connection(connection, items, notify))


def own(session: Session) -> None:
    """Mark a session of ours, whose connection commits, not it. Its items wait for ``notify_committed``."""
    session.info[_OWN] = []


def notify_committed(session: Session) -> None:
    """A session of ours has been committed: pass on what it collected. Items of a rolled-back part do no harm."""
    collected, session.info[_OWN] = session.info[_OWN], []
    for items, notify in collected:
        notify(list(items))


def _after_session(session: Session, items: Sequence[Any], notify: Notify) -> None:
    """The release of a SAVEPOINT does not count as a commit."""
    if _OWN in session.info:
        session.info[_OWN].append((items, notify))
        return
    pending: _Pending | None = session.info.get(_PENDING)
    if pending is None:
        pending = session.info[_PENDING] = _Pending()
        event.listen(session, "after_commit", _on_commit)
        event.listen(session, "after_soft_rollback", _on_rollback)
        event.listen(session, "after_transaction_end", _on_end)
    around, one = [], session.get_nested_transaction() or session.get_transaction()
    while one is not None:
        around.append(one)
        one = one.parent
    pending.add(items, notify, tuple(around))


def _on_commit(session: Session) -> None:
    # This fires for a released SAVEPOINT too; only the outer commit makes the rows visible.
    if not session.in_nested_transaction():
        session.info[_PENDING].notify_all()


def _on_rollback(session: Session, previous: SessionTransaction) -> None:
    session.info[_PENDING].forget(previous)


def _on_end(session: Session, ended: SessionTransaction) -> None:
    # A session that is closed without a commit tells of no rollback.
    if ended.parent is None:
        session.info[_PENDING].entries.clear()


def _after_connection(connection: Connection, items: Sequence[Any], notify: Notify) -> None:
    pending: _Pending | None = vars(connection).get(_PENDING)
    if pending is None:
        pending = _Pending()
        setattr(connection, _PENDING, pending)
        _wrap_commit(connection, "_commit_impl", pending)
        _wrap_commit(connection, "_commit_twophase_impl", pending)
        event.listen(connection, "rollback", lambda done: pending.entries.clear())
    pending.add(items, notify)


def _wrap_commit(connection: Connection, name: str, pending: _Pending) -> None:
    """SQLAlchemy's ``commit`` event comes before the commit, and an id that is published then finds no run yet.

    So this wraps the method that commits, of this one connection.
    """
    commit = getattr(connection, name)

    def commit_and_notify(*args: Any) -> None:
        commit(*args)
        pending.notify_all()

    setattr(connection, name, commit_and_notify)
