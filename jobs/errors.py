"""Every error, in one tree. Each has a stable ``code`` and says what happened and what to do next.

JobsError
├── ConfigurationError        a setting, a module or a file named in one
│   └── LedgerMissing         no ledger here, and none is made behind your back
├── DefinitionError           a Job class that cannot be what it says
├── ArgumentsRefused          arguments that cannot be stored or do not fit their job
├── EnqueueRefused            an option of enqueue, or a session, that cannot serve
│   └── KeyConflict           the key is held by a run with other arguments
├── StepRepeated              two steps of an attempt have one name
├── StepRefused               what a step gave back cannot be kept
├── UnknownEffect             an effect began in an earlier attempt, and nobody knows whether it took place
├── SelectorRefused           a selector or a value in one that cannot be read
├── CredentialRefused         a name, a password or a token that cannot be
├── Unauthenticated           nobody knows who asks
├── TooManyTries              signing in was tried too often
│   └── TooManyRequests       so many requests that change something may not come in so short a time
├── Forbidden                 the operator may not do this
├── NotFound                  no such run, kind, queue, worker
├── Ambiguous                 a short id that more than one run has
├── Conflict                  the state of things does not allow it
├── LeaseLost                 another attempt has the run, or it has ended
├── LedgerRefused             the database refuses what it was given to hold
├── ServiceDown               a server does not answer, or refuses us
│   ├── Overloaded            more passwords are to be hashed than this process hashes at once
│   └── LedgerBusy            the ledger is locked for longer than the time limit
│       └── KeyBusy           another transaction holds the key, and has not committed in time
├── NotEnded                  a run that was waited for has not ended in time
└── SchemaMismatch            the tables are not those this release runs on

Steering                      raised by a job about its own run; not an error
├── RetryAfter                try again after this long; charged
├── Snooze                    try again after this long; not charged
├── GiveUp                    dead at once
└── Cancel                    cancelled at once

Interrupt (BaseException)     raised in a job by the worker
├── TimeLimitExceeded         the attempt's time is over
└── Cancelled                 somebody cancelled the run
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar


class JobsError(Exception):
    """Root of every error of ours. ``code`` is stable and public; ``hint`` says what to do."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


MAX_SHOWN = 80
"""Characters of a value that a message repeats."""


def shown(value: Any) -> str:
    """A value as a message may repeat it: on one line, cut, and whatever it is."""
    try:
        text = repr(value)
    except Exception as error:  # A number of 5,000 digits, or what the value's own class says.
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    text = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in text
    )
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


class ConfigurationError(JobsError):
    code = "configuration"


class LedgerMissing(ConfigurationError):
    code = "ledger_missing"


class DefinitionError(JobsError):
    """A job class cannot be what it says. Raised where the class is made."""

    code = "definition"


class ArgumentsRefused(JobsError):
    """Arguments were refused before anything was written. ``field`` names the one, if it was one."""

    code = "bad_arguments"

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class EnqueueRefused(JobsError):
    """An option of enqueue, or the session given to it, cannot serve; nothing was enqueued."""

    code = "enqueue_refused"


class KeyConflict(EnqueueRefused):
    """The key is held by a run whose arguments differ."""

    code = "key_conflict"

    def __init__(self, message: str, *, key: str, run_id: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.run_id = run_id


class StepRepeated(JobsError):
    """A name stands for one step of a run; two with one name would answer for each other."""

    code = "step_repeated"


class StepRefused(JobsError):
    """The result of a step cannot be kept."""

    code = "step_refused"


class UnknownEffect(JobsError):
    """An intent without an end, of a step that must not be repeated. The run is dead as ``unknown_effect``."""

    code = "unknown_effect"


class SelectorRefused(JobsError):
    """What was asked for cannot be read. ``pointer`` shows the place: the text, and a caret below it."""

    code = "selector"

    def __init__(self, message: str, *, pointer: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pointer = pointer


class CredentialRefused(JobsError):
    """A user's name, password or role, or a token's terms, that cannot be."""

    code = "bad_credential"


class Unauthenticated(JobsError):
    """No credentials, or wrong, expired or revoked ones. The message does not say which of a name and a password."""

    code = "unauthenticated"


class TooManyTries(JobsError):
    """Signing in was tried too often; ``retry_after_seconds`` says when it may be tried again."""

    code = "too_many_tries"

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequests(TooManyTries):
    """A token, or a user, has asked for more changes than may be asked for in so short a time."""

    code = "too_many_requests"


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


class LeaseLost(JobsError):
    """The lease is not ours any more: roll back and forget the result."""

    code = "lease_lost"


class LedgerRefused(JobsError):
    code = "ledger_refused"


class ServiceDown(JobsError):
    """A server does not answer, or refuses us."""

    code = "service_down"


class Overloaded(ServiceDown):
    """More passwords are to be hashed than this process hashes at once; nothing was looked at."""

    code = "overloaded"


class LedgerBusy(ServiceDown):
    code = "ledger_busy"


class KeyBusy(LedgerBusy):
    """Another transaction has enqueued with the key and has not committed in time."""

    code = "key_busy"


class NotEnded(JobsError):
    """A run that was waited for has not ended in time; it goes on."""

    code = "not_ended"


class SchemaMismatch(JobsError):
    code = "schema"


class Steering(Exception):
    """What a job raises to steer its own run."""


class RetryAfter(Steering):
    """Fail this attempt and try again after ``delay``. Charged to the budget; the delay is not capped."""

    def __init__(self, delay: timedelta, reason: str = "") -> None:
        super().__init__(reason or f"retry after {delay}")
        self.delay = _wait(delay, "RetryAfter")


class Snooze(Steering):
    """Try again after ``delay``, uncharged; with ``give_up_after``, dead once the run is older than that."""

    def __init__(self, delay: timedelta, *, give_up_after: timedelta | None = None, reason: str = "") -> None:
        super().__init__(reason or f"snoozed for {delay}")
        self.delay = _wait(delay, "Snooze")
        self.give_up_after = give_up_after


class GiveUp(Steering):
    """Stop trying: the run is dead with the cause ``gave_up``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Cancel(Steering):
    """End the run as cancelled."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Interrupt(BaseException):
    """Raised in a job by the worker. A BaseException, so that ``except Exception`` does not eat it."""


class TimeLimitExceeded(Interrupt):
    """The attempt's time is over."""


class Cancelled(Interrupt):
    """Somebody cancelled the run."""


def _wait(delay: timedelta, name: str) -> timedelta:
    if not isinstance(delay, timedelta) or delay < timedelta(0):
        raise ValueError(f"{name} takes a timedelta of zero or more, got {delay!r}")
    return delay
