"""Runs a worker beside a web application: a supervisor in a child process, which ends with its parent."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from jobs.app import App
from jobs.errors import ConfigurationError

log = logging.getLogger("jobs.web")

STOP_EXTRA_SECONDS = 10.0
"""How long the child may take to stop beyond the time that runs have. Source: decision."""


class WorkerProcess:
    """A worker in a child process.

    Args:
        imports: the application's modules with jobs; empty uses ``JOBS_IMPORTS``.

    Raises:
        ConfigurationError: there are none.
    """

    def __init__(self, app: App, imports: Sequence[str]) -> None:
        self._limit = app.settings.shutdown.total_seconds() + STOP_EXTRA_SECONDS
        modules = tuple(imports) or app.settings.imports
        if not modules:
            raise ConfigurationError(
                "worker=True needs to know the modules with jobs.", hint='Give imports=["shop.jobs"], or JOBS_IMPORTS.'
            )
        settings = app.settings.model_copy(update={"imports": modules})
        self._child = subprocess.Popen([sys.executable, "-P", "-m", __name__], stdin=subprocess.PIPE)
        # Through a pipe, because the settings hold passwords. It stays open: its end tells the child that we ended.
        assert self._child.stdin is not None
        self._child.stdin.write(settings.model_dump_json().encode() + b"\n")
        self._child.stdin.flush()
        log.info("Worker process started", extra={"pid": self._child.pid})

    def is_alive(self) -> bool:
        return self._child.poll() is None

    def stop(self) -> None:
        """Let runs finish within the time limit of the settings, then end the child."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(self._limit)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def _serve() -> int:
    """The child: a supervisor with the settings that its parent writes."""
    from jobs.observe.log import configure_logging
    from jobs.settings import Settings

    settings = Settings.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    configure_logging(settings)
    # Last, so that no module of the application hides one of ours.
    sys.path.append(os.getcwd())
    from worker.main import main

    return main(
        imports=settings.imports,
        processes=settings.processes,
        settings_json=settings.model_dump_json(),
        shutdown_seconds=settings.shutdown.total_seconds(),
        shortest_limit_seconds=settings.hard_after.total_seconds(),
        metrics_host=settings.metrics_host,
        metrics_port=settings.metrics_port,
    )


def _stop_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(_serve())
