"""Turns a message into the run that records it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dramatiq import Actor
from dramatiq.broker import Broker
from dramatiq.common import q_name
from dramatiq.message import Message

from jobs.clock import new_run_id
from jobs.definition.options import MAX_KIND, MAX_QUEUE, check_name
from jobs.enqueue.enqueuer import enqueuer
from jobs.errors import EnqueueRefused
from jobs.ledger.records import NewRun
from jobs.messages.actor_job import max_attempts
from jobs.messages.encoding import write_failure_message, write_message
from jobs.messages.keys import admission_of
from jobs.priority import MIN_PRIORITY
from jobs.runtime.context import correlation_id, current_run

if TYPE_CHECKING:
    from jobs.app import App

MAX_BROKER_PRIORITY = 255
"""Source: RabbitMQ's ``x-max-priority``."""


def new_run(
    app: App,
    broker: Broker,
    message: Message[Any],
    *,
    run_id: UUID | None = None,
    is_keyed: bool = False,
    reports_failure: bool = False,
) -> NewRun:
    """The run of ``message``: kind and priority come from its actor, and an ``eta`` sets when it is due.

    Args:
        is_keyed: check its key. Messages that a hook enqueues, and imported ones, have been admitted already.
        reports_failure: it may contain the text of an error, which is made storable.

    Raises:
        TypeError: dramatiq's own error, for arguments that are not JSON.
        ArgumentsRefused: arguments that the ledger cannot hold.
        EnqueueRefused: an ``eta`` that is not a moment, or an invalid key.
    """
    actor = broker.actors.get(message.actor_name)
    declared = actor.options if actor is not None else {}
    options = dict(message.options)
    eta = options.pop("eta", None)
    queue = check_name(q_name(message.queue_name), what="queue", longest=MAX_QUEUE)
    stored: Message[Any] = Message(**{**message.asdict(), "queue_name": queue, "options": options})
    parent = current_run.get()
    write = write_failure_message if reports_failure else write_message
    return NewRun(
        id=run_id or new_run_id(),
        kind=check_name(message.actor_name, what="kind", longest=MAX_KIND),
        queue=queue,
        priority=priority_of(actor, message),
        arguments=write(stored, max_bytes=app.settings.max_argument_bytes),
        max_attempts=max_attempts(broker, declared, options, crashes=app.settings.poison_after - 1),
        run_at=_moment(eta, message, broker),
        correlation_id=correlation_id.get(),
        enqueued_by=enqueuer(),
        **(admission_of(actor, message) if is_keyed else {}),
        parent_id=parent.id if parent else None,
        root_id=parent.root_id if parent else None,
    )


def priority_of(actor: Actor[Any, Any] | None, message: Message[Any]) -> int:
    """The actor's priority, smaller first; RabbitMQ's ``broker_priority``, if given, has the opposite order.

    Raises:
        EnqueueRefused: it is not a whole number from 0 to 255, as for RabbitMQ.
    """
    declared = actor.options.get("broker_priority") if actor is not None else None
    urgency = message.options.get("broker_priority", declared)
    base = actor.priority if actor is not None else 0
    if urgency is None:
        return base
    if type(urgency) is not int or not 0 <= urgency <= MAX_BROKER_PRIORITY:
        raise EnqueueRefused(
            f"broker_priority is a whole number from 0 to {MAX_BROKER_PRIORITY}, got {urgency!r}.",
            hint="Larger goes first, as with RabbitMQ; an actor's priority is smaller first.",
        )
    return max(MIN_PRIORITY, base - urgency)


def _moment(eta: Any, message: Message[Any], broker: Broker) -> datetime | None:
    """When a message is due. An ``eta`` that is not a number is logged and means now, as in dramatiq's worker."""
    if eta is None:
        return None
    if not isinstance(eta, int | float):
        broker.logger.warning(
            "Invalid eta value for message %r: %r. Setting eta to current_millis()", message.message_id, eta
        )
        return None
    try:
        return datetime.fromtimestamp(eta / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise EnqueueRefused(f"An eta is milliseconds since 1970, got {eta!r}.") from None
