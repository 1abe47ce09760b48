"""Background jobs you can account for. An application imports this package and nothing else of ours.

Names are loaded when they are first used: the supervisor of a worker must stay small, and imports only parts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from jobs.schedule import At, Cron, Every
    from jobs.states import Cause, Outcome, RunState

_HOMES = {
    "boot": ("configure",),
    "context": ("correlate",),
    "enqueue": ("Enqueued",),
    "errors": (
        "ArgumentsRefused",
        "Cancel",
        "Cancelled",
        "DefinitionError",
        "EnqueueRefused",
        "GiveUp",
        "JobsError",
        "NotFound",
        "RetryAfter",
        "ServiceDown",
        "Snooze",
        "TimeLimitExceeded",
    ),
    "job": ("Job", "enqueue_many"),
    "lookup": ("attempts", "cancel", "find"),
    "retry": ("Retry",),
    "schedule": ("At", "Cron", "Every"),
    "states": ("Cause", "Outcome", "RunState"),
}
_HOME_OF = {name: f"jobs.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArgumentsRefused",
    "At",
    "Cancel",
    "Cancelled",
    "Cause",
    "Cron",
    "DefinitionError",
    "EnqueueRefused",
    "Enqueued",
    "Every",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jobs' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
