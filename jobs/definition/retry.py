"""Retry policies. Pure functions: failures, an error and a generator give a delay, or None to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from jobs.errors import DefinitionError

DEFAULT_MAX_ATTEMPTS = 10
"""With the default delays a run gives up after about 4 hours. Source: decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A job's retry policy: exponential back-off with jitter.

    Args:
        max_attempts: charged attempts before the run is dead as ``exhausted``; 1 to 32767.
        first: the longest wait after the first failure, above zero.
        factor: each further failure multiplies the wait by it; 1 or more.
        cap: the longest wait of all.
        jitter: ``full`` draws between zero and the wait (spreads many retries best, AWS Architecture Blog 2015);
            ``none`` waits exactly as computed.
        retry_on: errors worth another attempt; any other error is fatal at once.
        give_up_on: errors that are fatal at once; takes precedence over ``retry_on``.
        within: no attempt is planned later than this after the run was enqueued.

    Raises:
        DefinitionError: a value is out of range, when the policy is made.
    """

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    first: timedelta = timedelta(seconds=15)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    jitter: Literal["full", "none"] = "full"
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()
    within: timedelta | None = None

    def __post_init__(self) -> None:
        # To Python a bool is an int, and `max_attempts=True` is a mistake.
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int):
            raise DefinitionError(f"Retry(max_attempts=…) takes a whole number, got {self.max_attempts!r}.")
        if not 1 <= self.max_attempts <= 32767:
            raise DefinitionError(f"Retry(max_attempts=…) must be from 1 to 32767, got {self.max_attempts}.")
        if not isinstance(self.factor, (int, float)) or not self.factor >= 1:
            raise DefinitionError(f"Retry(factor=…) must be 1 or more, got {self.factor!r}.")
        for name in ("first", "cap", "within"):
            span = getattr(self, name)
            if span is None and name == "within":
                continue
            if not isinstance(span, timedelta) or span <= timedelta(0):
                raise DefinitionError(f"Retry({name}=…) takes a timedelta above zero, got {span!r}.")
        if self.jitter not in ("full", "none"):
            raise DefinitionError(f"Retry(jitter=…) is 'full' or 'none', got {self.jitter!r}.")
        for name in ("retry_on", "give_up_on"):
            classes = getattr(self, name)
            if not isinstance(classes, tuple) or not all(
                isinstance(one, type) and issubclass(one, BaseException) for one in classes
            ):
                raise DefinitionError(f"Retry({name}=…) takes a tuple of exception classes, got {classes!r}.")

    @classmethod
    def never(cls) -> Retry:
        """One attempt: a run that fails is dead at once.

        A run whose worker died is performed again all the same, because nobody knows how far it came; see
        ``JOBS_POISON_AFTER``.
        """
        return cls(max_attempts=1)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether this error ends the run without another attempt."""
        return isinstance(error, self.give_up_on) or not isinstance(error, self.retry_on)

    def wait(self, failures: int) -> timedelta:
        """The longest wait after this many failures (1 or more); without jitter."""
        if failures < 1:
            raise ValueError(f"failures must be 1 or more, got {failures}")
        try:
            seconds = self.first.total_seconds() * float(self.factor) ** (failures - 1)
        except OverflowError:
            return self.cap
        # In seconds, because a product of timedeltas overflows before the cap applies.
        return timedelta(seconds=min(seconds, self.cap.total_seconds()))

    def delay(
        self, failures: int, *, error: BaseException | None, age: timedelta, rng: random.Random
    ) -> timedelta | None:
        """How long to wait before the next attempt, or None to give up.

        Args:
            failures: charged attempts so far, the one that just failed included; 1 or more.
            error: the exception; None when the attempt could not raise one (a crash, a hard limit).
            age: time since the run was enqueued.
            rng: source of the jitter.
        """
        if failures >= self.max_attempts or (error is not None and self.is_fatal(error)):
            return None
        longest = self.wait(failures)
        chosen = longest if self.jitter == "none" else longest * rng.random()
        if self.within is not None and age + chosen > self.within:
            return None
        return chosen
