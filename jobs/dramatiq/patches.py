"""Runs patches of dramatiq's ``process_message`` (by tracing libraries, say) around our own method too.

OpenTelemetry's instrumentor replaces the method of the class by a wrapper. A thread that performs the ledger's
messages has a method of its own, so it calls ours inside that wrapper, also if the wrapper was installed later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq.worker import WorkerThread

Process = Callable[[Any], None]


def is_patched() -> bool:
    """Whether another library has wrapped dramatiq's method."""
    method = WorkerThread.process_message
    return method.__module__ != WorkerThread.__module__ or hasattr(method, "__wrapped__")


def through_patches(thread: Any, ours: Process) -> Process:
    """Call ``ours`` inside the wrappers that the class's ``process_message`` has when a message arrives."""

    def process_message(message: Any) -> None:
        method: Any = WorkerThread.process_message
        if is_patched():
            method(_Thread(thread, message, ours), _Message(message))
        else:
            ours(message)

    return process_message


class _Nothing:
    """Accepts every call of dramatiq's own method and does nothing, because our method has done the work."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: None


class _Thread:
    """Stands in for dramatiq's thread: the actor that it calls is ours, and all else does nothing."""

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
    """The message, read-only: our code records its outcome."""

    failed = False

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def stuff_exception(self, error: BaseException) -> None: ...

    def clear_exception(self) -> None: ...
