"""A dramatiq actor as a job, for the worker, the registry and operators."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from dramatiq import Actor, Broker
from dramatiq.middleware import Retries, TimeLimit
from dramatiq.middleware import TimeLimitExceeded as ActorTimeLimitExceeded

from jobs.client.job import Job
from jobs.definition.retry import Retry
from jobs.errors import TimeLimitExceeded
from jobs.ledger.records import Claim
from jobs.messages.enqueue_actor import Operated
from jobs.messages.keys import check_options
from jobs.messages.message_outcome import Ended, message_outcome_of
from jobs.messages.perform import acknowledge, process
from jobs.messages.proxy import LedgerMessage

MAX_ATTEMPTS = 32_767
"""The ledger's limit for a message whose retries have no limit. Source: the column, a smallint."""

CRASHES = 2
"""How many times a worker may die in a scheduled run. Source: the default of ``JOBS_POISON_AFTER``."""

brokers: dict[str, Any] = {}
"""The broker of each actor, by the actor's name."""


class TimeOver(TimeLimitExceeded, ActorTimeLimitExceeded):
    """Raised in an actor when its time is over: the worker's error and the one that dramatiq's actors catch, in one."""


def register(broker: Broker, actor: Actor[Any, Any]) -> None:
    """Let workers perform the runs of ``actor``. An actor that is declared again replaces the earlier one.

    Raises:
        DefinitionError: its name, queue or priority is invalid, or a job has its name.
    """
    check_options(actor)
    limit = time_limit(broker, actor.actor_name, actor.options, {})
    body = {
        "__module__": "dramatiq",
        "__qualname__": f"actor.{actor.actor_name}",
        "__doc__": actor.fn.__doc__,
        "_actor": actor,
        "perform": _perform,
        "model_validate_json": classmethod(_read),
    }
    meta: Any = type(Job)
    meta(
        "Actor",
        (Operated,),
        body,
        kind=actor.actor_name,
        queue=actor.queue_name,
        priority=actor.priority,
        timeout=None if limit is None else timedelta(seconds=limit),
        retry=Retry(max_attempts=max_attempts(broker, actor.options, {}, crashes=CRASHES)),
        unique=actor.options.get("unique"),
        limits=actor.options.get("limits") or (),
        breaker=actor.options.get("breaker"),
    )
    brokers[actor.actor_name] = broker


def limit_of(claim: Claim) -> float | None:
    """The time limit of a claimed message in seconds; None is no limit."""
    broker = brokers[claim.kind]
    actor = broker.actors.get(claim.kind)
    declared = actor.options if actor else {}
    if '"time_limit"' in claim.arguments:
        try:
            return time_limit(broker, claim.kind, declared, json.loads(claim.arguments).get("options", {}))
        except (ValueError, TypeError, AttributeError):
            pass  # Invalid messages are refused when they are read; a limit that is not a number is ignored.
    return time_limit(broker, claim.kind, declared, {})


def options_of(claim: Claim) -> dict[str, Any]:
    """A copy of the options that a claimed message was sent with; empty if the message is invalid or unreadable."""
    if claim.kind not in brokers:
        return {}
    try:
        options = json.loads(claim.arguments)["options"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return dict(options) if isinstance(options, dict) else {}


def time_limit(broker: Any, name: str, declared: dict[str, Any], options: dict[str, Any]) -> float | None:
    """Seconds that a message may take: its own option, its actor's, or the middleware's; None is no limit."""
    middleware = next((one for one in broker.middleware if isinstance(one, TimeLimit)), None)
    if middleware is None:
        return None
    limit = options.get("time_limit") or declared.get("time_limit", middleware.time_limit)
    return None if not limit or limit == float("inf") else limit / 1000


def max_attempts(broker: Any, declared: dict[str, Any], options: dict[str, Any], *, crashes: int = 0) -> int:
    """The ledger's limit of attempts: the retries, the first attempt, and ``crashes`` more for workers that die.

    The middleware decides earlier, by its retries: as everywhere in dramatiq, a worker that dies spends none.
    """
    middleware = next((one for one in broker.middleware if isinstance(one, Retries)), None)
    if middleware is None or declared.get("retry_when", middleware.retry_when) is not None:
        return MAX_ATTEMPTS
    retries = options.get("max_retries", declared.get("max_retries", middleware.max_retries))
    return MAX_ATTEMPTS if retries is None else min(max(int(retries), 0) + 1 + crashes, MAX_ATTEMPTS)


def _read(cls: type[Job], /, text: str, **how: Any) -> Job:
    # dramatiq's encoder reads the message from the claim, so there are no fields to check.
    return cls.model_construct()


def _perform(self: Job) -> None:
    claim = self.run._claim
    broker = brokers[claim.kind]
    message = LedgerMessage(claim)
    process(broker, message, lambda fn: fn())
    acknowledge(broker, message)
    message_outcome = message_outcome_of(message, max_bytes=broker.app.settings.max_argument_bytes)
    message.clear_exception()
    raise Ended(message_outcome)
