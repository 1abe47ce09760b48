"""Plan: everything that a supervisor is told from outside."""

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
        settings: the settings as JSON, handed on unread.
        processes: how many processes serve; 1 or more.
        shutdown: how long a process that stops may finish what it has.
        kill_after: how long after that it is killed.
        kill_now_after: how long after a second signal the rest is killed.
        ping_every: how often each process is asked for a sign of life.
        answer_limit: a process silent for so long is killed; None: never.
        start_limit: likewise for one that has never said anything; None: never.
        shortest_limit: no run has a hard limit nearer than this when it begins.
        watch: folders; when a source file below them changes, a rolling restart.
        target: ``module:function`` that a process calls.
        metrics_folder: where its processes count; empty: they do not.
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
