"""Signals to runs, for application code: ``self.run.wait_for`` waits for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs import boot
from jobs.app import App
from jobs.client.job import Job
from jobs.client.lookup import run_uuid
from jobs.database.transactions.coroutines import call_in
from jobs.database.transactions.joining import begin_writing, joined
from jobs.definition import registry
from jobs.enqueue.enqueuer import enqueuer
from jobs.enqueue.signal_path import Signalled, payload_text, publish_freed
from jobs.errors import EnqueueRefused, NotFound, StepRefused
from jobs.ledger.effects.signals import SignalSent, live_run_of_key, send_signal
from jobs.runtime.context import current_run, enclosing_session
from jobs.runtime.off_loop import off_loop
from jobs.runtime.steps import check_name

if TYPE_CHECKING:
    from jobs.database.sql import Executor
    from jobs.database.transactions.joining import AsyncSessionLike, SessionLike


def signal(
    run_id: UUID | str | None = None,
    name: str | None = None,
    payload: Any = None,
    *,
    key: str | None = None,
    kind: type[Job] | str | None = None,
    session: SessionLike | None = None,
) -> Signalled:
    """Send a signal to a run, for which its job waits by ``self.run.wait_for(name)``.

    The first signal of a name is kept, also when it comes before the wait; a later one changes nothing.

    Args:
        run_id: the run; or ``key`` and ``kind``, which name the live run of the kind that holds the key.
        name: printable text of 1 to 200 characters.
        payload: a JSON value, of at most ``max_argument_bytes``.
        session: send it in this transaction, as for ``Job.enqueue``: it counts once its owner commits. The run's row
            stays locked until then, so commit soon.

    Raises:
        NotFound: there is no such run, or no live run holds the key.
        SignalRefused: the run has ended.
        ArgumentsRefused: the payload is not JSON, or too large.
        EnqueueRefused: the run, the name or the session is invalid.
        ServiceDown: the ledger does not answer; nothing was sent.
    """
    app = boot.current()
    name, text = _checked(app, name, payload)
    find = _target(run_id, key, kind)
    session = enclosing_session() if session is None else session
    performing = current_run.get()
    if session is None and performing is not None and performing.app is app:
        session = performing.open_session
    if session is not None:
        return _send_in(app, session, find, name, text)
    with app.database.write(urgent=True) as connection:
        sent = _send(connection, find, name, text)
        if sent.freed:
            app.database.send_notify(connection)
    publish_freed(app, sent.freed)
    return Signalled(sent.run_id, sent.is_new)


async def signal_async(
    run_id: UUID | str | None = None,
    name: str | None = None,
    payload: Any = None,
    *,
    key: str | None = None,
    kind: type[Job] | str | None = None,
    session: AsyncSessionLike | None = None,
) -> Signalled:
    """``signal`` for async callers: in a transaction of theirs, or without blocking the event loop."""
    send = partial(signal, run_id, name, payload, key=key, kind=kind)
    session = enclosing_session() if session is None else session
    if session is None:
        return await off_loop(send)
    return await call_in(session, lambda plain: send(session=plain))


def _checked(app: App, name: str | None, payload: Any) -> tuple[str, str]:
    try:
        check_name(name or "")
    except StepRefused:
        raise EnqueueRefused(
            f"{name!r} cannot name a signal.", hint='Use printable text of 1 to 200 characters: signal(id, "approval").'
        ) from None
    assert name is not None
    return name, payload_text(app, payload)


def _target(run_id: UUID | str | None, key: str | None, kind: type[Job] | str | None) -> Callable[[Executor], UUID]:
    """Finds the run that is meant, in the transaction of the signal."""
    if run_id is not None:
        if key is not None or kind is not None:
            raise EnqueueRefused("A signal takes a run's id, or key= and kind=, but not both.")
        found = run_uuid(run_id)
        return lambda session: found
    if key is None or kind is None:
        raise EnqueueRefused("A signal needs its run.", hint="Give its id, or key= together with kind=.")
    names = [kind] if isinstance(kind, str) else [kind.options.kind, *kind.options.aliases]
    if isinstance(kind, str) and (known := registry.find(kind)) is not None:
        names = [known.options.kind, *known.options.aliases]

    def by_key(session: Executor) -> UUID:
        live = live_run_of_key(session, names, key)
        if live is None:
            raise NotFound(f"No live run of {names[0]} holds the key {key!r}.")
        return live

    return by_key


def _send(session: Executor, find: Callable[[Executor], UUID], name: str, text: str) -> SignalSent:
    run_id = find(session)
    sent = send_signal(session, run_id, name, text, sent_by=enqueuer())
    if sent is None:
        raise NotFound(f"There is no run {run_id}.")
    return sent


def _send_in(app: App, session: SessionLike, find: Callable[[Executor], UUID], name: str, text: str) -> Signalled:
    with joined(session, app.database) as transaction:
        begin_writing(transaction.connection)
        sent = _send(transaction.connection, find, name, text)
        if sent.freed:
            app.database.send_notify(transaction.connection)
        transaction.after_commit(sent.freed, partial(publish_freed, app))
    return Signalled(sent.run_id, sent.is_new)
