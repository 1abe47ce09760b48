"""Deadlines: soft and hard time limits and cancellation, around ``perform`` only.

The thread that performs and the watchdog race for two tokens of the attempt's ``TimeoutToken``, each a list of one
element, because a pop is atomic:

    may_interrupt   the watchdog takes it to raise ``TimeLimitExceeded`` or ``Cancelled`` in the thread;
                    the thread takes it when the job has ended, and from then on nothing can be raised
    may_end         the watchdog takes it when the hard limit comes, and calls ``on_hard``; the thread
                    takes it to hand back what the job returned or raised, else it raises ``TooLate``

A thread that finds ``may_interrupt`` taken waits, still inside the ``try``, for the interrupt, so that it lands
inside ``Deadlines.perform`` or not at all.

What a job returned or raised before the interrupt landed counts. Once it has landed in the job, the attempt ends by
it, even if the job swallows it or turns it into another error. An interrupt that landed where Python swallows it
(``__del__``, a weakref's callback) is sent again.
"""

from __future__ import annotations

import sys
import threading
import time
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from typing import TypeVar

from jobs.errors import Cancelled, Interrupt
from worker.timeouts.interrupt import find_place, require_cpython, seek_place, send
from worker.timeouts.timeout_token import (
    NEVER,
    TimeoutToken,
    TooLate,
    cancelled_before,
    close_window,
    give_back,
    raise_interrupt,
    take,
    wait_for_interrupt,
)

__all__ = ["Deadlines", "TimeoutToken", "TooLate"]

T = TypeVar("T")

FIRST_RETRY = 0.001
LAST_RETRY = 0.02
"""Seconds between checks of a thread that must not be interrupted now; the wait grows by the first value."""
LONGEST_WAIT = 3600.0  # a lock cannot be waited for without end and with a limit; waking once an hour is free


class Deadlines:
    """The limits of all runs that this process performs. One object per process, made after the fork.

    The watchdog is a daemon thread that starts with the first limit and sleeps until the nearest one; a thread that
    adds a nearer one wakes it. A limit is enforced within milliseconds, and idling costs nothing.

    Args:
        monotonic: the default is bound at import, so that a test that freezes time does not stop the limits.
        step: for tests; called in the watchdog as ``step("won")``, ``step("sending")``, ``step("sent")``.

    Raises:
        ConfigurationError: this Python cannot interrupt a thread safely.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        step: Callable[[str], None] | None = None,
    ) -> None:
        require_cpython()
        self._monotonic = monotonic
        self._step = step
        self._performing: dict[int, TimeoutToken | None] = {}
        self._wakes_at = NEVER
        self._wakeup = allocate_lock()  # held: sleep; released: check now; safe to release at any point
        self._wakeup.acquire()
        self._starting = allocate_lock()
        self._watchdog: threading.Thread | None = None
        self._stopping = False
        self._report_unraisable = sys.unraisablehook

    def start(self) -> None:
        """Start the watchdog, unless it runs."""
        with self._starting:
            if self._watchdog is None:
                self._stopping = False
                self._watchdog = threading.Thread(target=self._watch, name="jobs-deadlines", daemon=True)
                self._report_unraisable = sys.unraisablehook
                sys.unraisablehook = self._unraisable
                self._watchdog.start()

    def stop(self) -> None:
        """Stop the watchdog and wait for it, 5 s at most; the limits of running jobs are no longer enforced."""
        with self._starting:
            watchdog, self._watchdog = self._watchdog, None
            self._stopping = True
            if sys.unraisablehook == self._unraisable:
                sys.unraisablehook = self._report_unraisable
        if watchdog is not None:
            self._notify()
            watchdog.join(5)

    def cancel(self, timeout_token: TimeoutToken) -> None:
        """Raise ``Cancelled`` in the job of ``timeout_token``, from any thread; if it has not started, it does not
        start."""
        timeout_token.cancel_requested = True
        self.start()
        self._wake(0.0)

    def perform(
        self,
        fn: Callable[[], T],
        *,
        timeout_token: TimeoutToken,
        soft_seconds: float | None = None,
        hard_seconds: float | None = None,
    ) -> T:
        """Call ``fn`` on this thread and return what it returns.

        Args:
            soft_seconds: from now until ``TimeLimitExceeded`` is raised in ``fn``; None is no limit.
            hard_seconds: from now until ``timeout_token.on_hard()``; None is no limit.

        Raises:
            TimeLimitExceeded: the soft limit landed in ``fn``.
            Cancelled: the cancellation landed in ``fn``, or came before it began.
            TooLate: the hard limit came first; ``on_hard`` has been called or is about to be.
            BaseException: whatever else ``fn`` raised.
        """
        thread = get_ident()
        if not timeout_token.may_interrupt or self._performing.get(thread) is not None:
            raise RuntimeError("A TimeoutToken is for one perform, and a thread performs one job at a time.")
        first = NEVER
        if soft_seconds is not None or hard_seconds is not None:
            if self._watchdog is None:
                self.start()
            now = self._monotonic()
            if hard_seconds is not None:
                first = timeout_token.hard_until = now + hard_seconds
            if soft_seconds is not None:
                soft_until = timeout_token.soft_until = now + soft_seconds
                first = min(soft_until, first)
        value: T
        error: BaseException | None = None
        ended = False
        try:
            # The window opens. Publish first, then check; the watchdog does the reverse, so neither misses the other.
            self._performing[thread] = timeout_token
            if first < self._wakes_at:
                self._wake(first)
            if timeout_token.cancel_requested:
                fn = cancelled_before
            try:
                value = fn()
            except BaseException as raised:
                error = raised
            ended = True
            try:
                timeout_token.may_interrupt.pop()
            except IndexError:
                timeout_token.interrupted = wait_for_interrupt(timeout_token, thread)
            # The window is closed.
        except Interrupt as landed:  # here, but outside fn
            if not ended and error is None:
                error = landed
                timeout_token.interrupted = True
        except BaseException:  # not ours: a signal handler's, in the main thread
            close_window(timeout_token, thread)
            self._performing[thread] = None
            timeout_token.may_end.clear()
            raise
        self._performing[thread] = None
        try:
            timeout_token.may_end.pop()
        except IndexError:
            raise TooLate from error
        if timeout_token.interrupted:
            raise_interrupt(timeout_token, error)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return value

    def look(self) -> float:
        """Do what is due for all running jobs; return the seconds until the next check."""
        now = self._monotonic()
        asked_at = self._wakes_at
        self._wakes_at = NEVER  # a thread that starts a job from here on wakes the watchdog
        nearest = asked_at if asked_at > now else NEVER
        for thread, timeout_token in self._performing.copy().items():
            if timeout_token is not None:
                nearest = min(nearest, self._do_due(thread, timeout_token, now))
        if nearest < self._wakes_at:
            self._wakes_at = nearest
        return max(nearest - now, 0.0)

    def _do_due(self, thread: int, timeout_token: TimeoutToken, now: float) -> float:
        """Do what is due for one timeout token; return when to look at it again."""
        if now >= timeout_token.hard_until:
            if take(timeout_token.may_end):
                _call(timeout_token.on_hard)
            return NEVER
        if not timeout_token.may_interrupt:
            return timeout_token.hard_until
        if not timeout_token.cancel_requested and now < timeout_token.soft_until:
            return min(timeout_token.soft_until, timeout_token.hard_until)
        if self._interrupt(thread, timeout_token):
            return timeout_token.hard_until
        timeout_token.looks += 1
        return min(now + min(FIRST_RETRY * timeout_token.looks, LAST_RETRY), timeout_token.hard_until)

    def _interrupt(self, thread: int, timeout_token: TimeoutToken) -> bool:
        """Send the interrupt that is due; False to put it off."""
        step = self._step
        error = Cancelled if timeout_token.cancel_requested else timeout_token.limit_error
        place = find_place(thread, above=_PERFORM)
        if place is None and timeout_token.looks:
            place = seek_place(thread, above=_PERFORM)
        if place is None:
            return False
        if not take(timeout_token.may_interrupt):
            return True
        if step is not None:
            step("won")
        before = None if step is None else lambda: step("sending")
        if not send(thread, place, error, before=before):
            timeout_token.may_interrupt.append(None)  # the thread has moved: give the token back
            return False
        if step is not None:
            step("sent")
        timeout_token.sent = error
        return True

    def _unraisable(self, swallowed: sys.UnraisableHookArgs) -> None:
        """Python swallowed an exception, in ``__del__`` or a weakref's callback; send ours again."""
        timeout_token = self._performing.get(get_ident())
        if timeout_token is not None and issubclass(swallowed.exc_type, Interrupt):
            give_back(timeout_token)
            self._wake(0.0)
        else:
            self._report_unraisable(swallowed)

    def _wake(self, at: float) -> None:
        self._wakes_at = at
        self._notify()

    def _notify(self) -> None:
        try:
            self._wakeup.release()
        except RuntimeError:
            pass  # already released

    def _watch(self) -> None:
        while not self._stopping:
            self._wakeup.acquire(timeout=min(self.look(), LONGEST_WAIT))


_PERFORM = Deadlines.perform.__code__


def _call(on_hard: Callable[[], object]) -> None:
    try:
        on_hard()
    except Exception as error:
        # Not logged: a hung job may hold the log's lock for ever, and the watchdog must continue.
        threading.excepthook(
            threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
        )
