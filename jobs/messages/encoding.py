"""Encodes a dramatiq message as the arguments of a run, and decodes it."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from dramatiq.encoder import JSONEncoder
from dramatiq.message import Message, get_encoder

from jobs.definition.arguments import check_json
from jobs.errors import ArgumentsRefused
from jobs.runtime.failure import MAX_MESSAGE, MAX_TRACEBACK, storable

_PARTS = ("args", "kwargs", "options", "message_id", "message_timestamp")

MAX_RETRY_BYTES = 65_536
"""Most bytes that the options of a retry may add to a message. Source: decision; dramatiq's traceback has 30 frames."""

RETRIED = ("retries", "traceback", "requeue_timestamp")
"""Options that dramatiq's ``Retries`` adds to a message."""


def write_message(message: Message[Any], *, max_bytes: int, retried: bool = False, retries: int | None = None) -> str:
    """The message as JSON. The output of a custom encoder is stored whole, in base64, under ``encoded``.

    Args:
        retried: write it for its next attempt; ``retries`` is the value it was sent with, because a replay starts anew.

    Raises:
        TypeError: dramatiq's own error, for arguments that are not JSON.
        ArgumentsRefused: JSON that the ledger cannot hold.
    """
    data = message.encode()
    # Compare the exact type: a subclass may write and read in its own way.
    if type(get_encoder()) is JSONEncoder:
        whole = json.loads(data)
        text = json.dumps({part: whole[part] for part in _PARTS}, separators=(",", ":"), ensure_ascii=False)
    else:
        text = json.dumps({"encoded": base64.b64encode(data).decode(), "message_id": message.message_id})
    if retried:
        text = f'{text[:-1]},"retried":{{"from":{json.dumps(retries)}}}}}'
    check_json(text, what=f"Arguments of {message.actor_name}", max_bytes=max_bytes)
    return text


def write_retried(message: Message[Any], *, max_bytes: int, retries: int | None) -> str | None:
    """The message for its next attempt; without its traceback if that cannot be stored. None: unchanged.

    Options that a hook adds must not turn a retry into the end of the run.
    """
    traceback = message.options.get("traceback")
    if isinstance(traceback, str):
        message = message.copy(options={"traceback": storable(traceback)})
    # The ledger accepted it as it was sent: the size that retries add does not count.
    room = max_bytes + MAX_RETRY_BYTES
    for one in (message, message.copy(options={"traceback": "(it cannot be stored)"})):
        try:
            return write_message(one, max_bytes=room, retried=True, retries=retries)
        except (ArgumentsRefused, TypeError, ValueError, RecursionError):
            continue
    return None


def write_failure_message(message: Message[Any], *, max_bytes: int) -> str:
    """A message that reports a failure (``on_failure``, say), as JSON.

    No one chose the text of the failure: if the ledger cannot hold it, it is made storable or shortened, so that the
    message is sent.

    Raises:
        TypeError, ArgumentsRefused: as for ``write_message``, for the rest of the message.
    """
    try:
        return write_message(message, max_bytes=max_bytes)
    except ArgumentsRefused:
        args, kwargs, options = (_shortened(part) for part in (message.args, message.kwargs, message.options))
        told = message._replace(args=args, kwargs=kwargs, options=options)
        # It contains the failed message, which was accepted on its own.
        return write_message(told, max_bytes=max_bytes + MAX_RETRY_BYTES)


def _shortened(value: Any) -> Any:
    """``value`` with storable texts, and with at most as much of an error as an attempt stores."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list | tuple):
        return tuple(map(_shortened, value))
    if not isinstance(value, dict):
        return value
    told = {_shortened(name): _shortened(one) for name, one in value.items()}
    if isinstance(told.get("traceback"), str):
        told["traceback"] = told["traceback"][-MAX_TRACEBACK:]
    if told.keys() == {"type", "message"} and isinstance(told["message"], str):
        told["message"] = told["message"][:MAX_MESSAGE]
    return told


def write_call(message: Message[Any], *, max_bytes: int) -> str:
    """The message in the form that the runs of a schedule share: each run has its own id and moment.

    Equal for equal calls, if the encoder is deterministic; raises the same as ``write_message``.
    """
    stored = json.loads(write_message(message._replace(message_id="", message_timestamp=0), max_bytes=max_bytes))
    for part in ("message_id", "message_timestamp"):
        stored.pop(part, None)
    return json.dumps(stored, separators=(",", ":"), ensure_ascii=False)


def read_message(
    text: str, *, queue: str, actor: str, run_id: UUID, made_at: datetime, is_fresh: bool = False
) -> tuple[Message[Any], int | None]:
    """The message of a run, and the retries that it was sent with.

    Args:
        run_id: id of the message, if it was written as a call.
        made_at: moment of the message, if it was written as a call.
        is_fresh: the run has no charged attempt: if it was retried before, it has been replayed since.

    Raises:
        DecodeError: a custom encoder made it, and this process uses another one.
        ArgumentsRefused: it is not a message.
    """
    try:
        stored = json.loads(text)
        message = _decoded(stored, queue, actor)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ArgumentsRefused(
            f"The stored value for {actor} is not a message: {type(error).__name__}: {error}."
        ) from None
    if "message_id" not in stored:
        moment = int(made_at.timestamp() * 1000)
        message = message._replace(message_id=str(run_id), message_timestamp=moment)
    if "retried" not in stored:
        return message, message.options.get("retries")
    retries = stored["retried"]["from"]
    if is_fresh:
        for name in RETRIED:
            message.options.pop(name, None)
        if retries is not None:
            message.options["retries"] = retries
    return message, retries


def read_call(text: str, *, queue: str, actor: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that a stored message passes: by place, and by name."""
    message = _decoded(json.loads(text), queue, actor)
    return tuple(message.args), dict(message.kwargs)


def _decoded(stored: dict[str, Any], queue: str, actor: str) -> Message[Any]:
    if "encoded" in stored:
        return Message.decode(base64.b64decode(stored["encoded"]))
    return Message(
        queue_name=queue,
        actor_name=actor,
        args=tuple(stored["args"]),
        kwargs=stored["kwargs"],
        options=stored["options"],
        message_id=stored.get("message_id", ""),
        message_timestamp=stored.get("message_timestamp", 0),
    )
