"""Calls the hooks of the application's dramatiq middleware when this process and its threads start and stop."""

from __future__ import annotations

from typing import Any

from dramatiq import Middleware

from jobs.app import App
from jobs.errors import ConfigurationError
from jobs.messages import actor_job
from jobs.messages.served_broker import ServedBroker


def brokers_of(app: App) -> list[ServedBroker]:
    """Returns the brokers whose messages this process performs.

    Raises:
        ConfigurationError: one of them writes to another ledger, or has a middleware that ``refuse_forks`` refuses.
    """
    refuse_forks()
    found: list[ServedBroker] = []
    for broker in actor_job.brokers.values():
        if broker not in found:
            broker.serves(app)
            found.append(broker)
    return found


def refuse_forks() -> None:
    """Check the middleware of the application's brokers, once the application is imported.

    Raises:
        ConfigurationError: a middleware needs processes that only dramatiq starts.
    """
    for broker in actor_job.brokers.values():
        for middleware in broker.middleware:
            if middleware.forks:
                raise ConfigurationError(
                    f"{type(middleware).__name__} needs a process of its own, which only dramatiq's command starts.",
                    hint="Leave it out (jobledger worker has --metrics-port), or run the application by that command.",
                )


class MiddlewareHooks(Middleware):
    """Middleware of the worker's own broker that calls the hooks of the application's brokers.

    The hooks around a message are called where it is performed.
    """

    def __init__(self, brokers: list[ServedBroker]) -> None:
        self.brokers = brokers

    def boot(self) -> None:
        """This process has started."""
        for broker in self.brokers:
            broker.emit_after("process_boot")

    def before_worker_boot(self, broker: Any, worker: Any) -> None:
        self._before("worker_boot", worker)

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        self._after("worker_boot", worker)

    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
        pass  # Too late here, since the jobs have ended; ``shut_down`` calls this hook when the shutdown begins.

    def shut_down(self, worker: Any) -> None:
        """This process begins to stop: interrupts the actors that ask to be interrupted at shutdown."""
        self._before("worker_shutdown", worker)

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        self._after("worker_shutdown", worker)

    def after_consumer_thread_boot(self, broker: Any, thread: Any) -> None:
        self._after("consumer_thread_boot", thread)

    def before_consumer_thread_shutdown(self, broker: Any, thread: Any) -> None:
        self._before("consumer_thread_shutdown", thread)

    def after_worker_thread_boot(self, broker: Any, thread: Any) -> None:
        self._after("worker_thread_boot", thread)

    def before_worker_thread_shutdown(self, broker: Any, thread: Any) -> None:
        self._before("worker_thread_shutdown", thread)

    def _before(self, signal: str, *args: Any) -> None:
        for broker in self.brokers:
            broker.emit_before(signal, *args)

    def _after(self, signal: str, *args: Any) -> None:
        for broker in self.brokers:
            broker.emit_after(signal, *args)
