"""Soft and hard time limits and cancellation, only around ``perform``.

The thread that performs and the watchdog race for two tokens of the attempt's ``Ticket``, each a list of one
element, because a pop is atomic:

    may_interrupt   the watchdog takes it to raise ``TimeLimitExceeded`` or ``Cancelled`` in the thread;
                    the thread takes it when the job has ended, and from then on nothing can be raised
    may_end         the watchdog takes it when the hard limit comes, and calls ``on_hard``; the thread
                    takes it to hand back what the job returned or raised, else it raises ``TooLate``

A thread that finds ``may_interrupt`` gone waits, still inside the ``try``, for what is on its way, so that an
interrupt lands inside ``Deadlines.perform`` or not at all.

Who wins: what a job returned or raised before the interrupt landed, counts. Once it has landed in the job,
the attempt ends by it, also if the job swallowed it or turned it into another error: the time was over.
"""

from __future__ import annotations

import threading
import time
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from typing import NoReturn, TypeVar

from jobs.errors import Cancelled, Interrupt, TimeLimitExceeded
from worker.interrupt import clear, find_place, require_cpython, seek_place, send

T = TypeVar("T")

NEVER = float("inf")
FIRST_RETRY = 0.001
LAST_RETRY = 0.02
"""Seconds between looks at a thread that must not be interrupted just now; the wait grows by the first."""
LONGEST_WAIT = 3600.0  # a lock cannot be waited for without end and with a limit; waking once an hour is free


class TooLate(BaseException):
    """The hard limit came first: the attempt has been ended by ``on_hard``, and nothing may end it again."""


class Ticket:
    """One attempt under its limits: made for one ``perform``, used once.

    ``on_hard`` is called at most once, on the watchdog's thread, when the hard limit comes before the job's
    end. It must be quick (other limits wait for it).
    """

    soft_until = NEVER
    hard_until = NEVER
    cancel_requested = False
    sent: type[Interrupt] | None = None
    interrupted = False
    """Whether an interrupt has landed in the job; a lock of its libraries may then never be released."""
    looks = 0

    def __init__(self, on_hard: Callable[[], object] = lambda: None) -> None:
        self.on_hard = on_hard
        self.may_interrupt = [None]
        self.may_end = [None]


class Deadlines:
    """The limits of all that this process performs. One a process, made after the fork.

    The watchdog is a daemon thread that starts with the first limit and sleeps until the nearest one it
    knows; whoever brings a nearer one wakes it. A limit is met within milliseconds, and idling costs nothing.

    Args:
        monotonic: the default is bound when this module is imported, so that a test that freezes time does
            not stop the limits.
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
        self._performing: dict[int, Ticket | None] = {}
        self._wakes_at = NEVER
        self._bell = allocate_lock()  # held: quiet. Released: look now. In C, so safe to ring at any point.
        self._bell.acquire()
        self._starting = allocate_lock()
        self._watchdog: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the watchdog, unless it runs."""
        with self._starting:
            if self._watchdog is None:
                self._stopping = False
                self._watchdog = threading.Thread(target=self._watch, name="jobs-deadlines", daemon=True)
                self._watchdog.start()

    def stop(self) -> None:
        """Stop the watchdog and wait for it; limits of what still performs are no longer met."""
        with self._starting:
            watchdog, self._watchdog = self._watchdog, None
            self._stopping = True
        if watchdog is not None:
            self._ring()
            watchdog.join()

    def cancel(self, ticket: Ticket) -> None:
        """Raise ``Cancelled`` in the job of ``ticket``, from any thread; at once if it has not begun yet."""
        ticket.cancel_requested = True
        self._wake(0.0)

    def perform(
        self,
        fn: Callable[[], T],
        *,
        ticket: Ticket,
        soft_seconds: float | None = None,
        hard_seconds: float | None = None,
    ) -> T:
        """Call ``fn`` on this thread and return what it returns.

        Args:
            soft_seconds: from now until ``TimeLimitExceeded`` is raised in ``fn``; None is no limit.
            hard_seconds: from now until ``ticket.on_hard()``; None is no limit.

        Raises:
            TimeLimitExceeded: the soft limit landed in ``fn``.
            Cancelled: the cancellation landed in ``fn``, or came before it began.
            TooLate: the hard limit came first; ``on_hard`` has been called or is about to be.
            BaseException: whatever else ``fn`` raised.
        """
        thread = get_ident()
        if not ticket.may_interrupt or self._performing.get(thread) is not None:
            raise RuntimeError("A ticket is for one perform, and a thread performs one job at a time.")
        first = NEVER
        if soft_seconds is not None or hard_seconds is not None:
            now = self._monotonic()
            if hard_seconds is not None:
                first = ticket.hard_until = now + hard_seconds
            if soft_seconds is not None:
                soft_until = ticket.soft_until = now + soft_seconds
                first = min(soft_until, first)
        value: T
        error: BaseException | None = None
        ended = False
        try:
            # The window opens. First visible, then look, while the watchdog does the reverse: neither misses.
            self._performing[thread] = ticket
            if first < self._wakes_at:
                self._wake(first)
            if ticket.cancel_requested:
                fn = _cancelled_before
            try:
                value = fn()
            except BaseException as raised:
                error = raised
            ended = True
            try:
                ticket.may_interrupt.pop()
            except IndexError:
                ticket.interrupted = _wait_for_interrupt(ticket, thread)
            # The window is closed.
        except Interrupt as landed:  # here, but outside fn
            if not ended and error is None:
                error = landed
                ticket.interrupted = True
        except BaseException:  # not ours: a signal handler's, in the main thread
            _shut(ticket, thread)
            self._performing[thread] = None
            ticket.may_end.clear()
            raise
        self._performing[thread] = None
        try:
            ticket.may_end.pop()
        except IndexError:
            raise TooLate from error
        if ticket.interrupted:
            _raise_interrupt(ticket, error)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return value

    def look(self) -> float:
        """Do what is due for all that performs; return the seconds until there may be more to do."""
        now = self._monotonic()
        asked_at = self._wakes_at
        self._wakes_at = NEVER  # whoever begins from here on rings
        nearest = asked_at if asked_at > now else NEVER
        for thread, ticket in self._performing.copy().items():
            if ticket is not None:
                nearest = min(nearest, self._attend(thread, ticket, now))
        if nearest < self._wakes_at:
            self._wakes_at = nearest
        return max(nearest - now, 0.0)

    def _attend(self, thread: int, ticket: Ticket, now: float) -> float:
        """Do what is due for one ticket; return when to look at it again."""
        if now >= ticket.hard_until:
            if _take(ticket.may_end):
                _call(ticket.on_hard)
            return NEVER
        if not ticket.may_interrupt:
            return ticket.hard_until
        if not ticket.cancel_requested and now < ticket.soft_until:
            return min(ticket.soft_until, ticket.hard_until)
        if self._interrupt(thread, ticket):
            return ticket.hard_until
        ticket.looks += 1
        return min(now + min(FIRST_RETRY * ticket.looks, LAST_RETRY), ticket.hard_until)

    def _interrupt(self, thread: int, ticket: Ticket) -> bool:
        """Send the interrupt that is due; False to put it off."""
        step = self._step
        error = Cancelled if ticket.cancel_requested else TimeLimitExceeded
        place = find_place(thread, above=_PERFORM)
        if place is None and ticket.looks:
            place = seek_place(thread, above=_PERFORM)
        if place is None:
            return False
        if not _take(ticket.may_interrupt):
            return True
        if step is not None:
            step("won")
        before = None if step is None else lambda: step("sending")
        if not send(thread, place, error, before=before):
            ticket.may_interrupt.append(None)  # it has moved on since; given back, so that it may end
            return False
        if step is not None:
            step("sent")
        ticket.sent = error
        return True

    def _wake(self, at: float) -> None:
        self._wakes_at = at
        if self._watchdog is None:
            self.start()
        self._ring()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # rung already

    def _watch(self) -> None:
        while not self._stopping:
            self._bell.acquire(timeout=min(self.look(), LONGEST_WAIT))


_PERFORM = Deadlines.perform.__code__


def _take(token: list[None]) -> bool:
    try:
        token.pop()
    except IndexError:
        return False
    return True


def _wait_for_interrupt(ticket: Ticket, thread: int) -> bool:
    """The watchdog has the token: wait until nothing can arrive any more. Did it land in the job?

    If it had not, it arrives here, as an exception: one that is pending is raised at the next call.
    """
    while ticket.sent is None:
        if _take(ticket.may_interrupt):
            return False
        time.sleep(0)
    for _ in range(3):
        time.sleep(0)
    clear(thread)
    return True


def _shut(ticket: Ticket, thread: int) -> None:
    try:
        if not _take(ticket.may_interrupt):
            _wait_for_interrupt(ticket, thread)
    except Interrupt:
        pass


def _raise_interrupt(ticket: Ticket, error: BaseException | None) -> NoReturn:
    """Raise what landed in the job: itself, with a message, or anew if the job swallowed it."""
    cancelled = ticket.sent is Cancelled or isinstance(error, Cancelled)
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


def _call(on_hard: Callable[[], object]) -> None:
    try:
        on_hard()
    except Exception as error:
        # Not logged: a hung job may hold the log's lock for good, and the watchdog must go on.
        threading.excepthook(
            threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
        )


def _cancelled_before() -> NoReturn:
    raise Cancelled("The run was cancelled before it began.")
