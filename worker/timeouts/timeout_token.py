"""Timeout token: one attempt under its limits, and the right to end it. ``deadline.py`` has the rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

from jobs.errors import Cancelled, Interrupt, TimeLimitExceeded
from worker.timeouts.interrupt import clear

NEVER = float("inf")


class TooLate(BaseException):
    """The hard limit came first: the attempt has been ended by ``on_hard``, and nothing may end it again."""


class TimeoutToken:
    """One attempt under its limits: made for one ``perform``, used once.

    ``on_hard`` is called at most once, on the watchdog's thread, when the hard limit comes before the job's
    end. It must be quick (other limits wait for it).
    """

    soft_until = NEVER
    hard_until = NEVER
    cancel_requested = False
    limit_error: type[TimeLimitExceeded] = TimeLimitExceeded
    """The error to raise at the time limit; dramatiq's actors catch dramatiq's own."""
    sent: type[Interrupt] | None = None
    interrupted = False
    """Whether an interrupt has landed in the job; a lock of its libraries may then never be released."""
    looks = 0

    def __init__(self, on_hard: Callable[[], object] = lambda: None) -> None:
        self.on_hard = on_hard
        self.may_interrupt = [None]
        self.may_end = [None]


def take(token: list[None]) -> bool:
    """Take the token; returns whether this caller got it."""
    try:
        token.pop()
    except IndexError:
        return False
    return True


def wait_for_interrupt(timeout_token: TimeoutToken, thread: int) -> bool:
    """The watchdog has the token: wait until no interrupt can arrive any more. Returns whether it landed in the job.

    If it has not landed, it is raised here: a pending exception is raised at the next call.
    """
    while True:
        while timeout_token.sent is None:
            if take(timeout_token.may_interrupt):
                return False
            time.sleep(0)
        for _ in range(3):
            time.sleep(0)
        if timeout_token.sent is not None:  # else Python swallowed it here, and the token came back
            clear(thread)
            return True


def give_back(timeout_token: TimeoutToken) -> None:
    """Return the token after the interrupt was swallowed where it landed; called in the thread that performs."""
    while timeout_token.sent is None:  # the watchdog is about to write it; its write must not come after ours
        time.sleep(0)
    timeout_token.sent = None
    timeout_token.may_interrupt.append(None)


def close_window(timeout_token: TimeoutToken, thread: int) -> None:
    """Close the window, even if an interrupt is on its way."""
    try:
        if not take(timeout_token.may_interrupt):
            wait_for_interrupt(timeout_token, thread)
    except Interrupt:
        pass


def raise_interrupt(timeout_token: TimeoutToken, error: BaseException | None) -> NoReturn:
    """Raise the interrupt that landed in the job: the same object with a message, or a new one if the job swallowed
    it."""
    cancelled = timeout_token.sent is Cancelled or isinstance(error, Cancelled)
    kind, message = (
        (Cancelled, "The run was cancelled while it was performed.")
        if cancelled
        else (TimeLimitExceeded, "The attempt was over its time limit.")
    )
    if not isinstance(error, kind):
        raise kind(message) from error
    if not error.args:
        error.args = (message,)
    try:
        raise error
    finally:
        del error


def cancelled_before() -> NoReturn:
    """Raise in place of a job that was cancelled before it started."""
    raise Cancelled("The run was cancelled before it began.")
