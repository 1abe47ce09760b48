"""Enqueues runs of an actor without ``send``: by an operator with arguments, or by a schedule."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from dramatiq import Actor
from dramatiq.message import Message
from pydantic import BaseModel

from jobs.client.job import Job
from jobs.errors import DefinitionError
from jobs.messages.encoding import read_call, write_call
from jobs.messages.keys import key_of
from jobs.messages.parameters import argument_of, call_of, parameter_names, parameters_of

OF_ITS_OWN = ("delay", "eta", "key")
"""Options of a message about time and uniqueness, which a schedule sets itself."""


class Operated(Job):
    """Base class of jobs that represent actors. With named arguments it represents a message."""

    __slots__ = ("_message",)
    _actor: ClassVar[Any] = None

    def __init__(self, /, **given: Any) -> None:
        super().__init__()
        args, kwargs = call_of(self._actor, self._parameters(), given)
        object.__setattr__(self, "_message", self._actor.message_with_options(args=args, kwargs=kwargs))

    @classmethod
    def _parameters(cls) -> type[BaseModel]:
        """The parameters, which operators see as its arguments."""
        return _parameters(cls._actor)

    @classmethod
    def _of_message(cls, given: Any) -> Job:
        """For a schedule: a job for a message, or for an actor called without arguments.

        Raises:
            DefinitionError: the message has options that a schedule cannot repeat.
        """
        message: Message[Any] = given.message() if isinstance(given, Actor) else given
        more = [name for name in OF_ITS_OWN if message.options.get(name) is not None]
        if more or message.queue_name != cls.options.queue:
            raise DefinitionError(
                f"A schedule of the actor {message.actor_name} takes a message without "
                f"{more[0] if more else 'a queue of its own'}.",
                hint="The schedule sets the time, and an actor has one queue.",
            )
        job = cls.model_construct()
        object.__setattr__(job, "_message", message)
        return job

    @classmethod
    def _key_fields(cls) -> list[str]:
        """The parameters by which a limit may have keys."""
        return parameter_names(cls._actor)

    @classmethod
    def _key_value(cls, arguments: str, name: str) -> Any:
        """What a recorded message passes for a parameter; its default if the message leaves it out."""
        return argument_of(cls._actor, *read_call(arguments, queue=cls.options.queue, actor=cls.options.kind), name)

    def _write_own(self, max_bytes: int) -> str:
        return write_call(_message_of(self), max_bytes=max_bytes)

    def idempotency_key(self) -> str | None:
        key: str | None = key_of(self._actor, _message_of(self))
        return key


def _message_of(job: Operated) -> Message[Any]:
    message: Message[Any] = object.__getattribute__(job, "_message")
    return message


@cache
def _parameters(actor: Actor[Any, Any]) -> type[BaseModel]:
    return parameters_of(actor)
