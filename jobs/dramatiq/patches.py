"""Calls what others have patched around dramatiq's ``process_message`` around ours too.

Tracing (OpenTelemetry's instrumentor) replaces the method of the class by one that calls it. A thread that performs the
ledger's messages has a method of its own: it goes through theirs, whenever theirs came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq.worker import WorkerThread

Process = Callable[[Any], None]


def is_patched() -> bool:
    """Whether somebody has put something around dramatiq's method."""
    method = WorkerThread.process_message
    return method.__module__ != WorkerThread.__module__ or hasattr(method, "__wrapped__")


def through_patches(thread: Any, ours: Process) -> Process:
    """``ours``, within what is around the class's ``process_message`` when a message comes."""

    def process_message(message: Any) -> None:
        method: Any = WorkerThread.process_message
        if is_patched():
            method(_Thread(thread, message, ours), _Message(message))
        else:
            ours(message)

    return process_message


class _Nothing:
    """Takes whatever dramatiq's own method would do, for ours has done it."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: None


class _Thread:
    """What dramatiq's own method sees as its thread: the actor that it calls is ours, the rest does nothing."""

    def __init__(self, thread: Any, message: Any, ours: Process) -> None:
        self._thread = thread
        self._message = message
        self._ours = ours
        self.logger = self.work_queue = _Nothing()
        self.broker = self
        self.middleware: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thread, name)

    @property
    def consumers(self) -> dict[str, Any]:
        return {self._message.queue_name: _Nothing()}

    def get_actor(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: self._ours(self._message)

    def emit_before(self, *given: Any, **named: Any) -> None: ...

    def emit_after(self, *given: Any, **named: Any) -> None: ...


class _Message:
    """The message, to read; what became of it is ours to say."""

    failed = False

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def stuff_exception(self, error: BaseException) -> None: ...

    def clear_exception(self) -> None: ...
