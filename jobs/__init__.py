"""Background jobs you can account for. An application imports this package and nothing else of ours."""

from jobs.boot import configure
from jobs.context import correlate
from jobs.enqueue import Enqueued
from jobs.errors import (
    ArgumentsRefused,
    Cancel,
    Cancelled,
    DefinitionError,
    EnqueueRefused,
    GiveUp,
    JobsError,
    NotFound,
    RetryAfter,
    ServiceDown,
    Snooze,
    TimeLimitExceeded,
)
from jobs.job import Job, enqueue_many
from jobs.lookup import attempts, cancel, find
from jobs.retry import Retry
from jobs.states import Cause, Outcome, RunState

__all__ = [
    "ArgumentsRefused",
    "Cancel",
    "Cancelled",
    "Cause",
    "DefinitionError",
    "EnqueueRefused",
    "Enqueued",
    "GiveUp",
    "Job",
    "JobsError",
    "NotFound",
    "Outcome",
    "Retry",
    "RetryAfter",
    "RunState",
    "ServiceDown",
    "Snooze",
    "TimeLimitExceeded",
    "attempts",
    "cancel",
    "configure",
    "correlate",
    "enqueue_many",
    "find",
]
