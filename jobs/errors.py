"""Every error, in one tree. Each has a stable ``code``; its message says what happened and what to do next.

Those of signing in are in ``jobs/operations/access/access_errors.py``, those of sealed values in
``jobs/sealing/seal_errors.py``, those of stored values in ``jobs/ledger/blobs/blob_errors.py``.

JobsError
├── ConfigurationError        a setting is invalid, or a module or file that it names
│   └── LedgerMissing         there is no ledger here; none is created without being asked
├── DefinitionError           a Job class is invalid
├── ArgumentsRefused          arguments cannot be stored, or do not fit their job
├── EnqueueRefused            an option of enqueue, or a session, is invalid
│   ├── KeyConflict           a run with other arguments holds the key
│   └── QueueFull             as many runs wait as max_waiting allows
├── StepRepeated              two steps of an attempt have the same name
├── StepRefused               the result of a step cannot be stored
├── UnknownEffect             an effect began in an earlier attempt, and its result is unknown
├── WaitExpired               no signal came within the time that a run waited for it
├── ChildDead                 children of a run did not succeed
├── SelectorRefused           a selector, or a value in one, cannot be parsed
├── Forbidden                 the operator lacks the permission
├── NotFound                  no such run, kind, queue, worker
├── Ambiguous                 several runs share a short id
├── Conflict                  the current state does not allow the action
│   └── SignalRefused         the run has ended, or a callback URL was used or has expired
├── LeaseLost                 another attempt has the run, or it has ended
├── LedgerRefused             the database refuses a value
├── ServiceDown               a server does not answer, or refuses the connection
│   └── LedgerBusy            the ledger stayed locked for longer than the time limit
│       └── KeyBusy           another transaction with the key has not committed in time
├── BundleRefused             a bundle is damaged, was altered, or is of a later release
├── NotEnded                  the run has not ended within the time limit
└── SchemaMismatch            the tables have another revision than this release needs

Steering                      raised by a job about its own run; not an error
├── RetryAfter                try again after this long; charged
├── Snooze                    try again after this long; not charged
├── GiveUp                    dead at once
└── Cancel                    cancelled at once

Interrupt (BaseException)     raised in a job by the worker
├── TimeLimitExceeded         the attempt's time is over
└── Cancelled                 an operator or the application cancelled the run
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from jobs.formats.duration import checked_delay


class JobsError(Exception):
    """Root of all our errors. ``code`` is stable and public; ``hint`` says what to do next."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigurationError(JobsError):
    code = "configuration"


class LedgerMissing(ConfigurationError):
    code = "ledger_missing"


class DefinitionError(JobsError):
    """A job class cannot be what it says. Raised where the class is made."""

    code = "definition"


class ArgumentsRefused(JobsError):
    """Arguments were refused before anything was written. ``field`` is the name of the invalid one, if it is known."""

    code = "bad_arguments"

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class EnqueueRefused(JobsError):
    """An option of enqueue, or the session given to it, cannot serve; nothing was enqueued."""

    code = "enqueue_refused"


class KeyConflict(EnqueueRefused):
    """A run with other arguments holds the key: ``run_id`` names that run."""

    code = "key_conflict"

    def __init__(self, message: str, *, key: str, run_id: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.run_id = run_id


class QueueFull(EnqueueRefused):
    """As many runs of a queue or kind wait as may. Nothing was enqueued.

    Attributes:
        what: ``queue`` or ``kind``.
        name: its name.
        waiting: how many runs of it wait, counted up to ``max_waiting``.
        max_waiting: how many may.
    """

    code = "queue_full"

    def __init__(
        self, message: str, *, what: str, name: str, waiting: int, max_waiting: int, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.what = what
        self.name = name
        self.waiting = waiting
        self.max_waiting = max_waiting


class StepRepeated(JobsError):
    """Two steps of one run have the same name; the second would get the result of the first."""

    code = "step_repeated"


class StepRefused(JobsError):
    """The result of a step cannot be kept."""

    code = "step_refused"


class UnknownEffect(JobsError):
    """An intent without an end, of a step that must not be repeated. The run is dead as ``unknown_effect``."""

    code = "unknown_effect"


class WaitExpired(JobsError):
    """No signal ``name`` came in time. The wait is over for good: a later attempt raises this again."""

    code = "wait_expired"

    def __init__(self, message: str, *, name: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name


class ChildDead(JobsError):
    """Children did not succeed. ``children`` are those that are dead or cancelled, in their order."""

    code = "child_dead"

    def __init__(self, message: str, *, children: Sequence[Any], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.children = tuple(children)


class SelectorRefused(JobsError):
    """A selector cannot be parsed. ``pointer`` shows the place: the text, and a caret below it."""

    code = "selector"

    def __init__(self, message: str, *, pointer: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pointer = pointer


class Forbidden(JobsError):
    code = "forbidden"


class NotFound(JobsError):
    """There is no such run, kind, queue or worker."""

    code = "not_found"


class Ambiguous(JobsError):
    """A short id that several runs share; ``matches`` are their full ids."""

    code = "ambiguous"

    def __init__(self, message: str, *, matches: tuple[str, ...], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.matches = matches


class Conflict(JobsError):
    code = "conflict"


class SignalRefused(Conflict):
    """A signal that no run can take: its run has ended, or its callback URL was used or has expired."""

    code = "signal_refused"


class LeaseLost(JobsError):
    """This attempt no longer holds the lease: roll back and discard the result."""

    code = "lease_lost"


class LedgerRefused(JobsError):
    code = "ledger_refused"


class ServiceDown(JobsError):
    """A server does not answer, or refuses us."""

    code = "service_down"


class LedgerBusy(ServiceDown):
    code = "ledger_busy"


class KeyBusy(LedgerBusy):
    """Another transaction has enqueued with the key and has not committed in time."""

    code = "key_busy"


class BundleRefused(JobsError):
    code = "bundle_refused"


class NotEnded(JobsError):
    """The run has not ended within the time limit; it is not cancelled."""

    code = "not_ended"


class SchemaMismatch(JobsError):
    code = "schema"


class Steering(Exception):
    """Base of what a job raises to steer its own run."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RetryAfter(Steering):
    """Fail this attempt and try again after ``delay``. Charged to the retry budget; the delay has no cap."""

    def __init__(self, delay: timedelta, reason: str = "") -> None:
        super().__init__(reason or f"retry after {delay}")
        self.delay = checked_delay(delay, "RetryAfter")


class Snooze(Steering):
    """Try again after ``delay``, uncharged. The run is dead once it is older than ``give_up_after``."""

    def __init__(self, delay: timedelta, *, give_up_after: timedelta | None = None, reason: str = "") -> None:
        super().__init__(reason or f"snoozed for {delay}")
        self.delay = checked_delay(delay, "Snooze")
        self.give_up_after = give_up_after


class GiveUp(Steering):
    """Stop trying: the run is dead with the cause ``gave_up``."""


class Cancel(Steering):
    """End the run as cancelled."""


class Interrupt(BaseException):
    """Raised in a job by the worker. A BaseException, so that ``except Exception`` does not catch it."""


class TimeLimitExceeded(Interrupt):
    """The attempt's time is over."""


class Cancelled(Interrupt):
    """An operator or the application cancelled the run."""
