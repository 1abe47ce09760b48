"""Background jobs with a complete record of every run. Applications import only this package.

Each name is loaded when it is first used, because the worker's supervisor must stay small and imports only parts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.boot import configure
    from jobs.client.batches import Batch, batch, find_batch, find_batch_async
    from jobs.client.job import Job
    from jobs.client.lookup import (
        attempts,
        attempts_async,
        cancel,
        cancel_async,
        find,
        find_async,
        steps,
        wait,
        wait_async,
    )
    from jobs.client.many import enqueue_many, enqueue_many_async
    from jobs.client.signals import signal, signal_async
    from jobs.client.transactions import announce, transaction
    from jobs.definition.breaker import Breaker
    from jobs.definition.limit import Limit
    from jobs.definition.rate import Rate
    from jobs.definition.retry import Retry
    from jobs.definition.secret import Sealed, Secret
    from jobs.definition.unique import FOREVER, WHILE_LIVE, Within
    from jobs.enqueue.signal_path import Signalled
    from jobs.enqueue.write_path import Enqueued
    from jobs.errors import (
        ArgumentsRefused,
        Cancel,
        Cancelled,
        ChildDead,
        DefinitionError,
        EnqueueRefused,
        GiveUp,
        JobsError,
        KeyBusy,
        KeyConflict,
        LeaseLost,
        NotEnded,
        NotFound,
        QueueFull,
        RetryAfter,
        ServiceDown,
        SignalRefused,
        Snooze,
        StepRefused,
        StepRepeated,
        TimeLimitExceeded,
        UnknownEffect,
        WaitExpired,
    )
    from jobs.ledger.blobs.blob_errors import StoredAltered, StoredMissing, StoreDown
    from jobs.migration.schema import include_name
    from jobs.runtime.context import correlate
    from jobs.runtime.run import Run
    from jobs.runtime.run_hooks import run_hooks
    from jobs.scheduling.schedule import At, Cron, Every
    from jobs.sealing.seal_errors import SealBroken, SealKeyMissing, SubjectForgotten
    from jobs.states import Cause, Outcome, RunState
    from jobs.storage.value import Stored
    from jobs.targets.target import Target

_HOMES = {
    "boot": ("configure",),
    "runtime.context": ("correlate",),
    "enqueue.signal_path": ("Signalled",),
    "runtime.run": ("Run",),
    "runtime.run_hooks": ("run_hooks",),
    "enqueue.write_path": ("Enqueued",),
    "errors": (
        "ArgumentsRefused",
        "Cancel",
        "Cancelled",
        "ChildDead",
        "DefinitionError",
        "EnqueueRefused",
        "GiveUp",
        "JobsError",
        "KeyBusy",
        "KeyConflict",
        "LeaseLost",
        "NotEnded",
        "NotFound",
        "QueueFull",
        "RetryAfter",
        "ServiceDown",
        "SignalRefused",
        "Snooze",
        "StepRefused",
        "StepRepeated",
        "TimeLimitExceeded",
        "UnknownEffect",
        "WaitExpired",
    ),
    "client.batches": ("Batch", "batch", "find_batch", "find_batch_async"),
    "client.job": ("Job",),
    "client.lookup": (
        "attempts",
        "attempts_async",
        "cancel",
        "cancel_async",
        "find",
        "find_async",
        "steps",
        "wait",
        "wait_async",
    ),
    "client.many": ("enqueue_many", "enqueue_many_async"),
    "client.signals": ("signal", "signal_async"),
    "client.transactions": ("announce", "transaction"),
    "definition.breaker": ("Breaker",),
    "definition.limit": ("Limit",),
    "definition.rate": ("Rate",),
    "definition.retry": ("Retry",),
    "definition.secret": ("Sealed", "Secret"),
    "storage.value": ("Stored",),
    "ledger.blobs.blob_errors": ("StoreDown", "StoredAltered", "StoredMissing"),
    "sealing.seal_errors": ("SealBroken", "SealKeyMissing", "SubjectForgotten"),
    "scheduling.schedule": (
        "At",
        "Cron",
        "Every",
    ),
    "migration.schema": ("include_name",),
    "targets.target": ("Target",),
    "states": (
        "Cause",
        "Outcome",
        "RunState",
    ),
    "definition.unique": (
        "FOREVER",
        "WHILE_LIVE",
        "Within",
    ),
}
_HOME_OF = {name: f"jobs.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "FOREVER",
    "WHILE_LIVE",
    "ArgumentsRefused",
    "At",
    "Batch",
    "Breaker",
    "Cancel",
    "Cancelled",
    "Cause",
    "ChildDead",
    "Cron",
    "DefinitionError",
    "EnqueueRefused",
    "Enqueued",
    "Every",
    "GiveUp",
    "Job",
    "JobsError",
    "KeyBusy",
    "KeyConflict",
    "LeaseLost",
    "Limit",
    "NotEnded",
    "NotFound",
    "Outcome",
    "QueueFull",
    "Rate",
    "Retry",
    "RetryAfter",
    "Run",
    "RunState",
    "SealBroken",
    "SealKeyMissing",
    "Sealed",
    "Secret",
    "ServiceDown",
    "SignalRefused",
    "Signalled",
    "Snooze",
    "StepRefused",
    "StepRepeated",
    "StoreDown",
    "Stored",
    "StoredAltered",
    "StoredMissing",
    "SubjectForgotten",
    "Target",
    "TimeLimitExceeded",
    "UnknownEffect",
    "WaitExpired",
    "Within",
    "announce",
    "attempts",
    "attempts_async",
    "batch",
    "cancel",
    "cancel_async",
    "configure",
    "correlate",
    "enqueue_many",
    "enqueue_many_async",
    "find",
    "find_async",
    "find_batch",
    "find_batch_async",
    "include_name",
    "run_hooks",
    "signal",
    "signal_async",
    "steps",
    "transaction",
    "wait",
    "wait_async",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jobs' has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOME_OF[name]), name)
    except AttributeError as error:
        # Python reads an AttributeError here as "no such name" and would hide the reason.
        raise ImportError(f"jobs.{name} cannot be loaded: {error}", name=_HOME_OF[name]) from error
    globals()[name] = value
    return value
