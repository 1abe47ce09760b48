"""For blocks of an application's code that enqueue in its own transaction, and for drivers that tell of no commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from jobs import boot
from jobs.client.lookup import run_uuid
from jobs.enqueue import publish
from jobs.enqueue.write_path import Enqueued
from jobs.events import RunEnqueued
from jobs.ledger.queries.waiting import unclaimed
from jobs.ready.protocol import ReadyEntry
from jobs.runtime.context import in_session

if TYPE_CHECKING:
    from jobs.database.transactions.joining import AsyncSessionLike, SessionLike

CHUNK = 1000


@contextmanager
def transaction(session: SessionLike | AsyncSessionLike) -> Iterator[None]:
    """Enqueue and cancel in the transaction of ``session`` inside the block, without ``session=`` in each call.

    >>> with Session(engine) as session, jobs.transaction(session):
    ...     session.add(Order(id=7))
    ...     SendInvoice(order_id=7).enqueue()
    ...     send_mail.send("ann@example.com")  # a dramatiq actor on LedgerBroker
    ...     session.commit()

    Takes what ``session=`` takes. An async session serves the ``_async`` calls. The block neither commits nor rolls
    back. It counts for this thread or task, and not for jobs that are performed inside it.
    """
    with in_session(session):
        yield


def announce(enqueued: Iterable[Enqueued | UUID | str]) -> int:
    """Tell workers of runs that are committed; returns how many of them wait. Call it after your commit.

    Only for connections of psycopg, asyncpg, sqlite3 and aiosqlite, whose commits nobody tells us of, and only to be
    quick: without it, workers find the runs at their next look. A run that was rolled back is ignored.

    Raises:
        NotFound: it is not a run id.
        ServiceDown: the ledger does not answer.
    """
    app = boot.current()
    ids = [run_uuid(one.id if isinstance(one, Enqueued) else one) for one in enqueued]
    count = 0
    for start in range(0, len(ids), CHUNK):
        with app.database.read() as connection:
            found = unclaimed(connection, ids[start : start + CHUNK])
        publish.announce(app, [ReadyEntry(one.run_id, one.queue, one.priority, one.run_at) for one in found])
        if app.events.has_subscriber(RunEnqueued):
            app.events.emit([RunEnqueued(one.run_id, one.kind, one.queue) for one in found])
        count += len(found)
    return count
