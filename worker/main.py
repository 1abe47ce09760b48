"""``jobs worker``: a supervisor and its processes."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.clock import SystemClock
from jobs.errors import ConfigurationError
from worker.assignment import TARGET
from worker.plan import PING_SECONDS, Plan
from worker.supervisor import Supervisor


def main(
    *,
    imports: tuple[str, ...],
    settings_json: str | None,
    processes: int = 1,
    shutdown_seconds: float = 25.0,
    answer_limit_seconds: float | None = 15.0,
    watch: Sequence[str] = (),
    target: str = TARGET,
    debug: bool = False,
) -> int:
    """Serve until told to stop; the exit code. Call it in the main thread: it takes the signals.

    Args:
        imports: the application's modules; the current folder is last on the path they are found on.
        settings_json: handed to each process as it is.
        processes: 1 or more.
        shutdown_seconds: how long runs may go on after the first SIGTERM or SIGINT.
        answer_limit_seconds: a process silent for so long is killed; None: never.
        watch: folders; when a source file below them changes, the processes are replaced by ones of new code.
        target: what each process calls.
        debug: show the traceback of an import that fails.

    Raises:
        ConfigurationError: fewer than one process, or a limit below zero.
    """
    if processes < 1:
        raise ConfigurationError(f"A worker needs 1 process or more, not {processes}.", hint="Set JOBS_PROCESSES.")
    if shutdown_seconds < 0 or (answer_limit_seconds is not None and answer_limit_seconds <= 0):
        raise ConfigurationError("A time limit of the worker is below zero.", hint="Set JOBS_SHUTDOWN, in seconds.")
    plan = Plan(
        imports=imports,
        settings=settings_json or "{}",
        processes=processes,
        shutdown=shutdown_seconds,
        answer_limit=answer_limit_seconds,
        # At least four chances within the limit.
        ping_every=min(PING_SECONDS, (answer_limit_seconds or 60.0) / 4),
        watch=tuple(watch),
        target=target,
    )
    return Supervisor(plan, SystemClock(), debug=debug).run()
