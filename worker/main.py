"""``jobs worker``: a supervisor and its processes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from jobs.clock import SystemClock
from jobs.errors import ConfigurationError
from jobs.interpreter import refuse_free_threading
from worker.protocol.assignment import TARGET
from worker.protocol.health import serving
from worker.supervisor.plan import PING_SECONDS, WorkerPlan
from worker.supervisor.supervisor import Supervisor

log = logging.getLogger("jobs.supervisor")


def main(
    *,
    imports: tuple[str, ...],
    settings_json: str | None,
    processes: int = 1,
    shutdown_seconds: float = 25.0,
    answer_limit_seconds: float | None = 15.0,
    shortest_limit_seconds: float = 0.0,
    watch: Sequence[str] = (),
    target: str = TARGET,
    metrics_host: str = "127.0.0.1",
    metrics_port: int | None = None,
    debug: bool = False,
) -> int:
    """Serve until a stop signal, and return the exit code. Call it in the main thread, since it handles signals.

    Args:
        imports: the application's modules; the current folder is last on the import path.
        settings_json: passed to each process unchanged.
        processes: 1 or more.
        shutdown_seconds: how long runs may go on after the first SIGTERM or SIGINT.
        answer_limit_seconds: a process that does not answer for this long is killed; None: never.
        shortest_limit_seconds: every run has at least this long until its hard limit when it starts.
        watch: folders; when a source file in them changes, processes with the new code replace the old ones.
        target: ``module:function`` that each process calls.
        metrics_host, metrics_port: the address for metrics and health; None: not served, 0: any free port.
        debug: show the traceback of an import that fails.

    Raises:
        ConfigurationError: fewer than one process, a limit below zero, a port in use, or a free-threaded Python.
    """
    refuse_free_threading()
    if processes < 1:
        raise ConfigurationError(f"A worker needs 1 process or more, not {processes}.", hint="Set JOBS_PROCESSES.")
    if shutdown_seconds < 0 or (answer_limit_seconds is not None and answer_limit_seconds <= 0):
        raise ConfigurationError("A time limit of the worker is below zero.", hint="Set JOBS_SHUTDOWN, in seconds.")
    supervisor: Supervisor | None = None

    def state() -> dict[str, Any]:
        return supervisor.state() if supervisor is not None else {**_NOT_YET, "processes": processes}

    with serving(metrics_host, metrics_port, state) as served:
        if served is not None:
            log.info("Metrics and health are served", extra={"url": served[0]})
        plan = WorkerPlan(
            imports=imports,
            settings=settings_json or "{}",
            processes=processes,
            shutdown=shutdown_seconds,
            answer_limit=answer_limit_seconds,
            # At least four pings within the limit.
            ping_every=min(PING_SECONDS, (answer_limit_seconds or 60.0) / 4),
            shortest_limit=shortest_limit_seconds,
            watch=tuple(watch),
            target=target,
            metrics_folder=str(served[1]) if served is not None else "",
        )
        supervisor = Supervisor(plan, SystemClock(), debug=debug)
        return supervisor.run()


_NOT_YET: dict[str, Any] = {"looked_seconds_ago": 0.0, "members": [], "is_stopping": False, "crash_looping": 0}
"""The state before the supervisor exists."""
