"""Every metric by name, with its labels: what endpoints export and what alerts and dashboards may use.

Names and labels are public: changing one is a breaking change. No label ever holds an id or a message. A name made up
by a caller is never a label of the worker's metrics; in the ledger's it is one only among the first thousand queues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Upper bounds of the histograms, in seconds. Source: decision; jobs take from 5 ms to 1 h."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is the exported one; a histogram adds ``_bucket``, ``_sum`` and ``_count``."""

    name: str
    type: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...]
    help: str

    @property
    def family(self) -> str:
        """The name in the exposition's TYPE line of a multiprocess file: a counter without its ``_total``."""
        return self.name.removesuffix("_total")

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its series."""
        if self.type == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


Sample: TypeAlias = tuple[Metric, Sequence[str], float]
"""A value of a metric, with its labels."""

ENQUEUED = Metric("jobs_enqueued_total", "counter", ("queue", "kind"), "Runs that worker processes enqueued.")
ATTEMPTS = Metric("jobs_attempts_total", "counter", ("queue", "kind", "outcome"), "Attempts that ended.")
FINISHED = Metric("jobs_runs_finished_total", "counter", ("queue", "kind", "state"), "Runs that ended for good.")
RETRIES = Metric("jobs_retries_total", "counter", ("queue", "kind"), "Attempts after which the run waits for another.")
WAIT = Metric("jobs_wait_seconds", "histogram", ("queue",), "From when a run was due to when its attempt started.")
RUN = Metric("jobs_run_seconds", "histogram", ("queue", "kind"), "How long an attempt took.")
FENCED = Metric("jobs_fenced_total", "counter", ("kind",), "Results refused because the lease was lost.")
SETTLED = Metric("jobs_settled_total", "counter", (), "Attempts ended by the settler.")
COMMITS = Metric("jobs_settle_commits_total", "counter", (), "Commits of the settler that ended attempts.")
READY_ERRORS = Metric("jobs_ready_errors_total", "counter", ("operation",), "Failures of the ready index.")
LEDGER_ERRORS = Metric("jobs_ledger_errors_total", "counter", ("operation",), "Failures of the ledger.")

WORKER = (
    ENQUEUED,
    ATTEMPTS,
    FINISHED,
    RETRIES,
    WAIT,
    RUN,
    FENCED,
    SETTLED,
    COMMITS,
    READY_ERRORS,
    LEDGER_ERRORS,
)
"""The worker endpoint's metrics: only counters and histograms, which survive their processes."""


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, "gauge", labels, help)


LEDGER_UP = _gauge("jobs_ledger_up", "1 if the ledger answered within the time limit.")
BUILD_INFO = _gauge("jobs_build_info", "Always 1; the labels say what runs here.", "version", "schema")
QUEUE_RUNS = _gauge("jobs_queue_runs", "Runs by queue and state.", "queue", "state")
OLDEST_AGE = _gauge("jobs_queue_oldest_age_seconds", "Since the oldest ready run was due.", "queue", "paused")
LIMIT_IN_USE = _gauge("jobs_limit_in_use", "Runs that have a slot of the limit, of all its keys.", "name")
LIMIT_MOST = _gauge("jobs_limit_most", "Most runs at once that the limit allows, for each of its keys.", "name")
LIMIT_PARKED = _gauge("jobs_limit_parked", "Runs that wait for a slot of the limit, of all its keys.", "name")
BREAKER_OPEN = _gauge("jobs_breaker_open", "Slices of the breaker that are open: 0 or 1, or its open keys.", "name")
BREAKER_PARKED = _gauge("jobs_breaker_parked", "Runs that the breaker parks, of all its keys.", "name")
LATENCY_TARGET = _gauge("jobs_queue_latency_target_seconds", "How old the oldest ready run may be.", "queue")
SUCCESS_TARGET = _gauge("jobs_target_success_ratio", "The share of ended runs that shall succeed.", "what", "name")
TARGET_RUNS = _gauge("jobs_target_runs", "Runs that ended within the window.", "what", "name", "window", "state")
BUDGET_LEFT = _gauge("jobs_error_budget_left_ratio", "What is left of the error budget of 28 days.", "what", "name")
BUDGET_BURN = _gauge(
    "jobs_error_budget_burn", "How fast the error budget burns: 1 uses it up in 28 days.", "what", "name", "window"
)
TARGETS_LEFT_OUT = _gauge("jobs_targets_left_out", "Success targets that have no series, beyond the first 500.")
KIND_LATENCY_TARGET = _gauge("jobs_kind_latency_target_seconds", "How old the oldest ready run may be.", "kind")
KIND_OLDEST_AGE = _gauge(
    "jobs_kind_oldest_age_seconds", "Since the oldest ready run was due, of kinds with a latency target.", "kind"
)
QUEUE_DRAIN = _gauge(
    "jobs_queue_drain_seconds", "Until the backlog is probably gone; +Inf: never at this rate.", "queue"
)
WORKERS_WANTED = _gauge("jobs_workers_wanted", "Worker processes that would meet the queue's target, damped.", "queue")
QUEUE_WORKERS = _gauge("jobs_queue_workers", "Live worker processes that serve the queue.", "queue")
QUEUES_LEFT_OUT = _gauge("jobs_queues_left_out", "Queues that have no series, beyond the first thousand.")
RUNS_LEFT_OUT = _gauge("jobs_queue_runs_left_out", "Runs of the queues that have no series, by state.", "state")
DEAD_LETTERS = _gauge("jobs_dead_letters", "Dead runs that nobody has replayed or purged.", "queue")
LEASES_EXPIRED = _gauge("jobs_leases_expired", "Running runs whose lease is over and that nobody has rescued.")
WORKERS_FAILING = _gauge(
    "jobs_workers_failing", "Live worker processes whose claims or settlements fail again and again; up to 10 s old."
)
THREADS = _gauge("jobs_worker_threads", "Threads of live worker processes.")
THREADS_BUSY = _gauge("jobs_worker_threads_busy", "Threads that perform a run; up to 10 s old.")
LAST_TICK = _gauge("jobs_scheduler_last_tick_timestamp_seconds", "When the leading scheduler last looked.")
LATENESS = _gauge("jobs_schedule_lateness_seconds", "Since the schedule's next slot was due.", "schedule")
LAST_SUCCESS = _gauge(
    "jobs_schedule_last_success_timestamp_seconds", "When a run of the schedule last succeeded.", "schedule"
)
NEXT_RUN = _gauge("jobs_schedule_next_run_timestamp_seconds", "The schedule's next slot.", "schedule")
SCHEDULES_LEFT_OUT = _gauge("jobs_schedules_left_out", "Schedules that have no series, beyond the first thousand.")

LEDGER = (
    LEDGER_UP,
    BUILD_INFO,
    QUEUE_RUNS,
    OLDEST_AGE,
    LIMIT_IN_USE,
    LIMIT_MOST,
    LIMIT_PARKED,
    BREAKER_OPEN,
    BREAKER_PARKED,
    LATENCY_TARGET,
    SUCCESS_TARGET,
    TARGET_RUNS,
    BUDGET_LEFT,
    BUDGET_BURN,
    TARGETS_LEFT_OUT,
    KIND_LATENCY_TARGET,
    KIND_OLDEST_AGE,
    QUEUE_DRAIN,
    WORKERS_WANTED,
    QUEUE_WORKERS,
    QUEUES_LEFT_OUT,
    RUNS_LEFT_OUT,
    DEAD_LETTERS,
    LEASES_EXPIRED,
    WORKERS_FAILING,
    THREADS,
    THREADS_BUSY,
    LAST_TICK,
    LATENESS,
    LAST_SUCCESS,
    NEXT_RUN,
    SCHEDULES_LEFT_OUT,
)
"""The ledger endpoint's metrics: read from the ledger, and so the same for whichever process is asked."""

ALL = WORKER + LEDGER
