"""Hooks: the middleware of a LedgerBroker, and how its hooks are called."""

from __future__ import annotations

import threading
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from dramatiq.middleware import GroupCallbacks, Middleware, TimeLimit
from dramatiq.threading import is_gevent_active

from jobs.dramatiq.middleware_list import MiddlewareList
from jobs.dramatiq.patches import through_patches
from jobs.errors import ConfigurationError
from jobs.messages.groups import LedgerGroupCallbacks
from jobs.messages.proxy import LedgerMessage
from jobs.messages.served_broker import ServedBroker
from jobs.messages.time_limit import LedgerTimeLimit

if TYPE_CHECKING:
    from jobs.app import App


class HookCalls(ServedBroker):
    """The part of LedgerBroker that holds the middleware and calls it."""

    def __init__(self, middleware: list[Middleware] | None) -> None:
        self._processing = threading.local()
        self._plain_worker: Any = None
        super().__init__(middleware)

    @property
    @abstractmethod
    def app(self) -> App:
        """The App whose ledger has the messages."""

    @property
    def middleware(self) -> list[Middleware]:
        """The middleware, in dramatiq's order. On assignment, our own replaces those that the ledger does better."""
        return self._middleware

    @middleware.setter
    def middleware(self, given: list[Middleware]) -> None:
        self._middleware = MiddlewareList(self._ours, given)

    def add_middleware(self, middleware: Middleware, **where: Any) -> None:
        super().add_middleware(self._ours(middleware), **where)

    def _ours(self, middleware: Middleware) -> Middleware:
        if type(middleware) is TimeLimit:
            return LedgerTimeLimit(time_limit=middleware.time_limit)
        if type(middleware) is GroupCallbacks:
            return LedgerGroupCallbacks(self, middleware)
        return middleware

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "worker_boot" and is_gevent_active():  # type: ignore[no-untyped-call]
            raise ConfigurationError(
                "A worker of the ledger does not run under gevent.",
                hint="Start it by `dramatiq`, not `dramatiq-gevent`.",
            )
        super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        message = args[0] if args else None
        if signal == "worker_thread_boot" and args[0].broker is self:
            # A thread of a plain dramatiq worker performs our messages, under our time limits.
            args[0].process_message = through_patches(args[0], partial(self._process, args[0]))
        if not isinstance(message, LedgerMessage) or signal not in ("process_message", "skip_message"):
            return super().emit_after(signal, *args, **kwargs)
        if signal == "skip_message":
            message.is_skipped = True
        elif kwargs.get("exception") is None:
            message.is_processed, message.result = True, kwargs.get("result")
        else:
            message.error = kwargs["exception"]
        # Messages that the hooks enqueue now belong to the end of this attempt.
        self._processing.message, self._processing.refused = message, None
        try:
            self._after(signal, message, **kwargs)
        finally:
            self._processing.message = None

    def _after(self, signal: str, message: LedgerMessage, **kwargs: Any) -> None:
        """Call the hooks as dramatiq does. If a hook could not enqueue or count, the message has not succeeded."""
        for middleware in reversed(self.middleware):
            try:
                getattr(middleware, f"after_{signal}")(self, message, **kwargs)
            except Exception as error:
                self.logger.critical("Unexpected failure in after_%s of %r", signal, middleware, exc_info=True)
                if isinstance(middleware, LedgerGroupCallbacks) or error is self._processing.refused:
                    message.refused = error

    def _process(self, thread: Any, message: Any) -> None:
        self._plain_worker.process(thread, message)
