"""Perform: process one message as dramatiq's worker thread does, hooks in its order, with ``call`` in the middle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq.broker import Broker
from dramatiq.errors import RateLimitExceeded, Retry
from dramatiq.middleware import SkipMessage
from dramatiq.worker import has_results_middleware

from jobs.dramatiq.proxy import LedgerMessage

Call = Callable[[Callable[[], Any]], Any]


def process(broker: Broker, message: LedgerMessage, call: Call) -> None:
    """Run the hooks and the actor. Raises nothing: what came of it is on ``message``."""
    log = broker.logger
    actor = None
    try:
        log.debug("Received message %s with id %r.", message, message.message_id)
        broker.emit_before("process_message", message)
        result = None
        if not message.failed:
            actor = broker.get_actor(message.actor_name)
            fn = actor
            result = call(lambda: fn(*message.args, **message.kwargs))
            if result is not None and message.options.get("pipe_target") is None and not has_results_middleware(broker):
                log.debug("Actor %r returned a value; the ledger keeps it.", actor.actor_name)
        broker.emit_after("process_message", message, result=result)
    except SkipMessage as error:
        if message.failed:
            message.stuff_exception(error)
        log.warning("Message %s was skipped.", message.message_id)
        broker.emit_after("skip_message", message)
    except BaseException as error:
        message.stuff_exception(error)
        throws = message.options.get("throws") or (actor and actor.options.get("throws"))
        if isinstance(error, RateLimitExceeded):
            log.debug("Rate limit exceeded in message %s: %s.", message.message_id, error)
        elif throws and isinstance(error, throws):
            log.info("Message %s raised what its actor may raise: %s.", message.message_id, type(error).__name__)
        elif not isinstance(error, Retry):
            log.error("Failed to process message %s with unhandled exception.", message.message_id, exc_info=True)
        broker.emit_after("process_message", message, exception=error)


def acknowledge(broker: Broker, message: LedgerMessage) -> None:
    """The hooks around an ``ack`` or ``nack``. Both come before the commit."""
    signal = "nack" if message.failed else "ack"
    broker.emit_before(signal, message)
    broker.emit_after(signal, message)
