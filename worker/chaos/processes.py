"""Sends signals to worker processes of this host, and to no other process."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self

from jobs.errors import ConfigurationError
from worker.protocol.process_identity import identity_of


class WorkerProcesses:
    """Kills, stops and thaws processes, each given by its number and the identity that its worker reported.

    A file descriptor of the process is opened before its identity is compared, and takes the signal: the number may go
    to another process meanwhile. Leaving the block thaws what is still stopped.

    Raises:
        ConfigurationError: this system has no such descriptors, or no ``/proc``.
    """

    def __init__(self) -> None:
        if not hasattr(os, "pidfd_open") or identity_of() is None:
            raise ConfigurationError(
                "This system cannot tell worker processes apart from others.", hint="chaos run needs Linux and /proc."
            )
        self.host = platform.node()
        self._stopped: dict[tuple[int, str], None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid, identity in list(self._stopped):
            self.thaw(pid, identity)

    def is_there(self, pid: int, identity: str) -> bool:
        """Whether the process lives."""
        return identity_of(pid) == identity

    def kill(self, pid: int, identity: str) -> bool:
        """Kill the process (SIGKILL). False: it has ended, or its number is another process's now."""
        return self._send(pid, identity, signal.SIGKILL)

    def stop(self, pid: int, identity: str) -> bool:
        """Stop the process (SIGSTOP) until it is thawed. False as for ``kill``."""
        # Before the signal, so that an exception between the two cannot leave it stopped.
        self._stopped[pid, identity] = None
        return self._send(pid, identity, signal.SIGSTOP)

    def thaw(self, pid: int, identity: str) -> bool:
        """Continue a stopped process (SIGCONT). False as for ``kill``."""
        sent = self._send(pid, identity, signal.SIGCONT)
        self._stopped.pop((pid, identity), None)
        return sent

    def _send(self, pid: int, identity: str, number: signal.Signals) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            if identity_of(pid) != identity:
                return False
            return _sent(lambda: signal.pidfd_send_signal(descriptor, number), pid)
        finally:
            os.close(descriptor)


def _sent(send: Callable[[], None], pid: int) -> bool:
    try:
        send()
    except ProcessLookupError:
        return False
    except PermissionError:
        raise ConfigurationError(
            f"The worker process {pid} belongs to another user.", hint="Run chaos as the user of the workers."
        ) from None
    return True
