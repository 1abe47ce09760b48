"""Plan: the configuration of a supervisor."""

from __future__ import annotations

from dataclasses import dataclass

from worker.protocol.assignment import TARGET

PING_SECONDS = 2.0
"""Source: decision; a ping and its answer cost some 20 µs on either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """Spans are seconds.

    Attributes:
        imports: the application's modules.
        settings: the settings as JSON, passed on without being read.
        processes: how many processes serve; 1 or more.
        shutdown: how long a stopping process may finish its runs.
        kill_after: how long after that it is killed.
        kill_now_after: how long after a second signal the remaining processes are killed.
        ping_every: how often each process is pinged.
        answer_limit: a process that does not answer for this long is killed; None: never.
        start_limit: the same for a process that has never sent a message; None: never.
        shortest_limit: every run has at least this long until its hard limit when it starts.
        watch: folders; a changed source file in them causes a rolling restart.
        target: the ``module:function`` that a process calls.
        metrics_folder: where the processes write their metrics; empty: they write none.
    """

    imports: tuple[str, ...] = ()
    settings: str = "{}"
    processes: int = 1
    shutdown: float = 25.0
    kill_after: float = 5.0
    kill_now_after: float = 2.0
    ping_every: float = PING_SECONDS
    answer_limit: float | None = 15.0
    start_limit: float | None = 120.0
    shortest_limit: float = 0.0
    watch: tuple[str, ...] = ()
    target: str = TARGET
    metrics_folder: str = ""
