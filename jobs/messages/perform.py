"""Processes one message as dramatiq's worker thread does: its hooks in order, around ``call``.

Log lines use dramatiq's words, because people search for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq.broker import Broker
from dramatiq.errors import RateLimitExceeded, Retry
from dramatiq.middleware import SkipMessage
from dramatiq.worker import has_results_middleware

from jobs.messages.proxy import LedgerMessage

Call = Callable[[Callable[[], Any]], Any]

RETURNED = (
    "Actor '%s' returned a value that is not None, which the ledger stores, but Message.get_result will not find it. "
    "Consider adding the Results middleware to your broker or piping the result into another actor"
)

SKIPPED = "Message %s was skipped."
RATE_LIMITED = "Rate limit exceeded in message %s: %s."
EXPECTED = "Failed to process message %s with expected exception %s."
UNHANDLED = "Failed to process message %s with unhandled exception."
"""dramatiq's own texts, each to the last character: filters of logs and of error reports know them."""


def process(broker: Broker, message: LedgerMessage, call: Call) -> None:
    """Run the hooks and the actor. Raises nothing: ``message`` has the result or the error."""
    log = broker.logger
    # Logged instead of the message itself, which would show its arguments.
    shown = f"{message.actor_name} {message.message_id}"
    actor = None
    try:
        log.debug("Received message %s", shown)
        broker.emit_before("process_message", message)
        result = None
        if not message.failed:
            actor = broker.get_actor(message.actor_name)
            fn = actor
            result = call(lambda: fn(*message.args, **message.kwargs))
            if result is not None and message.options.get("pipe_target") is None and not has_results_middleware(broker):
                log.warning(RETURNED, actor.actor_name)
        broker.emit_after("process_message", message, result=result)
    except SkipMessage as error:
        if message.failed:
            message.stuff_exception(error)
        log.warning(SKIPPED, shown)
        broker.emit_after("skip_message", message)
    except BaseException as error:
        message.stuff_exception(error)
        throws = message.options.get("throws") or (actor and actor.options.get("throws"))
        if isinstance(error, RateLimitExceeded):
            log.debug(RATE_LIMITED, shown, error)
        elif throws and isinstance(error, throws):
            log.info(EXPECTED, shown, type(error).__name__)
        elif not isinstance(error, Retry):
            log.error(UNHANDLED, shown, exc_info=True)
        broker.emit_after("process_message", message, exception=error)


def acknowledge(broker: Broker, message: LedgerMessage) -> None:
    """The hooks around an ``ack`` or ``nack``. Both run before the commit."""
    signal = "nack" if message.failed else "ack"
    broker.emit_before(signal, message)
    broker.emit_after(signal, message)
