"""Unique keys of messages, and the options of ``@dramatiq.actor`` that the ledger adds.

``key`` is called with the actor's arguments and returns the key, or None; ``unique`` sets how long it is held, as for
a job. ``send_with_options(key="…")`` gives one message a key of its own. ``limits`` and ``breaker`` are a job's, by
parameters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Set
from typing import Any

from dramatiq import Actor
from dramatiq.encoder import Encoder, JSONEncoder
from dramatiq.message import Message, get_encoder

from jobs.definition.enqueue_options import admission
from jobs.definition.equality import canonical
from jobs.errors import DefinitionError, EnqueueRefused
from jobs.messages.parameters import bound_call

ACTOR_OPTIONS = frozenset({"key", "unique", "limits", "breaker", "broker_priority"})


def check_options(actor: Actor[Any, Any]) -> None:
    """Refuse an actor whose ``key`` is not callable.

    Raises:
        DefinitionError: it is not.
    """
    key = actor.options.get("key")
    if key is not None and not callable(key):
        raise DefinitionError(
            f"Option key of actor {actor.actor_name} takes a function of its arguments, got {key!r}.",
            hint="Write key=lambda order_id: f'order-{order_id}'.",
        )


def key_of(actor: Actor[Any, Any], message: Message[Any]) -> Any:
    """The key of a message: its own, or the one that its actor computes from the arguments."""
    make = actor.options.get("key")
    if message.options.get("key") is not None or make is None:
        return message.options.get("key")
    return make(*message.args, **message.kwargs)


def admission_of(actor: Actor[Any, Any] | None, message: Message[Any]) -> dict[str, Any]:
    """How a message is admitted only once, as fields of its run.

    Raises:
        EnqueueRefused: an invalid key, no key although the actor is unique, or a key in a group.
    """
    key = key_of(actor, message) if actor is not None else message.options.get("key")
    unique = actor.options.get("unique") if actor is not None else None
    if key is not None and "group_completion_uuid" in message.options:
        raise EnqueueRefused(
            f"{message.actor_name} has a key, but is sent in a group with completion callbacks.",
            hint="Send it without a key: the group would wait for ever for a message that is not recorded.",
        )
    return admission(message.actor_name, key, unique, "keep", _same(actor, message) if key is not None else "{}")


def _same(actor: Actor[Any, Any] | None, message: Message[Any]) -> str:
    """What must be equal in two messages with one key: the call, and the messages that it is piped into."""
    args, kwargs = bound_call(actor, message.args, message.kwargs) if actor else (message.args, message.kwargs)
    options = {name: message.options[name] for name in ("pipe_target",) if name in message.options}
    data = {"args": args, "kwargs": kwargs, "options": options}
    encoder = get_encoder()
    if type(encoder) is JSONEncoder:
        return canonical(data, encoder.encode(data).decode())
    return canonical(data, json.dumps(_as_json(data, encoder)))


def _as_json(value: Any, encoder: Encoder) -> Any:
    """``value`` as JSON containers; other types as the encoder writes them."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _as_json(one, encoder) for key, one in value.items()}
    if isinstance(value, list | tuple | Set):
        return [_as_json(one, encoder) for one in value]
    return base64.b64encode(encoder.encode({"value": value})).decode()
