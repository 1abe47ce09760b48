"""Acts after a transaction of the application has committed, and forgets it after a rollback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

Notify = Callable[[list[Any]], None]
AfterCommit = Callable[[Sequence[Any], Notify], None]

_PENDING, _OWN = "jobs_pending", "jobs_own"


def never(items: Sequence[Any], notify: Notify) -> None:
    """Of a driver that does not tell of its commits: a notification in the transaction, or the next look, finds it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A transaction of the application.

    Attributes:
        connection: executes our statements in it.
        after_commit: calls a function with items once the transaction has committed, and with the other items that it
            was given in the same transaction. A rollback forgets them. An item of a rolled-back SAVEPOINT may be told.
    """

    connection: Connection
    after_commit: AfterCommit = never


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
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "after_commit", lambda done: _on_commit(done, notify))
        event.listen(session, "after_soft_rollback", _on_rollback)
    session.info[_PENDING].extend(items)


def _on_commit(session: Session, notify: Notify) -> None:
    # This fires for a released SAVEPOINT too; only the outer commit makes the rows visible.
    if session.in_nested_transaction():
        return
    items, session.info[_PENDING] = session.info[_PENDING], []
    if items:
        notify(items)


def _on_rollback(session: Session, previous: Any) -> None:
    # A SAVEPOINT that is rolled back may leave ids here that are no runs; announcing them does no harm.
    if not previous.nested:
        session.info[_PENDING] = []


def _after_connection(connection: Connection, items: Sequence[Any], notify: Notify) -> None:
    pending: list[Any] | None = vars(connection).get(_PENDING)
    if pending is None:
        pending = []
        setattr(connection, _PENDING, pending)
        _wrap_commit(connection, "_commit_impl", pending, notify)
        _wrap_commit(connection, "_commit_twophase_impl", pending, notify)
        event.listen(connection, "rollback", lambda done: pending.clear())
    pending.extend(items)


def _wrap_commit(connection: Connection, name: str, pending: list[Any], notify: Notify) -> None:
    """SQLAlchemy's ``commit`` event comes before the commit, and an id that is published then finds no run yet.

    So this wraps the method that commits, of this one connection.
    """
    commit = getattr(connection, name)

    def commit_and_notify(*args: Any) -> None:
        commit(*args)
        items = list(pending)
        pending.clear()
        if items:
            notify(items)

    setattr(connection, name, commit_and_notify)
