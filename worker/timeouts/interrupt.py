"""Interrupt: raises an exception in another thread, at a moment when that leaves no lock held.

``find_place`` reads where a thread is and returns that place if an interrupt may land there; ``send`` sends it if
the thread is still at that instruction. Only ``deadline.py`` uses it, and decides whether to interrupt.

An interrupt lands between two bytecodes. Code that takes a lock and releases it with ``with`` on a plain lock
is safe at every point; code that takes one inside a Python function (``Handler.acquire``,
``Condition.__enter__``) is not. So an interrupt is put off while the thread is

* anywhere above a frame of ``HOLDING``: modules with such locks, most of them shared by the whole process;
* in our code that the application has called. Application code that ours calls back (the function given to
``run.once``) counts as the application's again. Our frames below the application's first frame are the worker's path
to ``perform``, which must hold no lock;
* at an instruction from which an exception would skip a ``with`` or ``finally`` (``unsafe_bytecode.py``).

``HOLDING`` leaves out on purpose: ``asyncio`` (a loop belongs to its run, and its clean-up expects an exception
anywhere), and ``structlog``, ``prometheus_client`` and ``sentry_sdk`` (they use ``with`` on plain locks, and their
decorators stay on the stack for the whole call).

This is a strong reduction, not a proof. A Python lock of another library, taken by ``acquire()`` outside
``with``, can be left held. C code that calls Python back and clears its errors (a function registered with
SQLite) swallows an interrupt unseen: the job goes on until it ends, as timed out, or the hard limit comes.
"""

from __future__ import annotations

import ctypes
import dis
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import NamedTuple

from jobs.errors import ConfigurationError, Interrupt
from worker.timeouts.thread_frames import Uncollected, frame_of
from worker.timeouts.unsafe_bytecode import unsafe_instructions

_LIBRARY = (
    "logging",
    "threading",
    "queue",
    "concurrent",
    "multiprocessing",
    "weakref",
    "_weakrefset",
    "contextlib",
)
_IMPORT = ("importlib", "_frozen_importlib", "_frozen_importlib_external")
_DRIVERS = ("sqlalchemy", "psycopg", "psycopg_pool", "redis", "sqlite3", "aiosqlite")
HOLDING = frozenset(_LIBRARY + _IMPORT + _DRIVERS)
"""Top-level modules whose locks an interrupt could leave held. Source: when interrupts landed there, three of four
threads hung for ever in ``logging``, and four of four in ``queue``."""

WAITING = frozenset({"threading", "queue", "concurrent"})
LOOKS = 20
STILL = 5
"""Checks in a row at the same instruction after which a thread counts as waiting."""
OURS = frozenset({"jobs", "worker"})

_RUNS_ITS_CALLER = frozenset({"inner"})  # contextlib's decorator stays on the stack while the function runs

_set_async_exc = ctypes.pythonapi["PyThreadState_SetAsyncExc"]
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_clear_async_exc = ctypes.pythonapi["PyThreadState_SetAsyncExc"]
_clear_async_exc.argtypes = (ctypes.c_ulong, ctypes.c_void_p)


class Place(NamedTuple):
    """Where a thread is: its innermost frame, and the instruction there."""

    frame: FrameType
    instruction: int


def require_cpython() -> None:
    """Refuse a Python in which a thread cannot be interrupted safely.

    Raises:
        ConfigurationError: not CPython, or CPython without its global lock.
    """
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ConfigurationError(
            "Time limits and cancellation need CPython with its global interpreter lock.",
            hint=f"Run the worker on CPython 3.11 or later; this is {sys.version.split()[0]} "
            f"of {sys.implementation.name}.",
        )


def find_place(thread: int, *, above: CodeType, admit_waits: bool = True) -> Place | None:
    """Where an interrupt may land in ``thread`` now, or None if it must be delayed.

    Args:
        above: the code of the frame that performs; frames below it are ignored.
        admit_waits: whether ``Condition.wait`` may be interrupted where it waits.
    """
    top = frame_of(thread)
    if top is None:
        return None
    place = Place(top, top.f_lasti)
    if place.instruction in unsafe_instructions(top.f_code):
        return None
    waits = admit_waits and top.f_code is threading.Condition.wait.__code__ and place.instruction in _WAITS
    innermost_is_ours: bool | None = None
    application_seen = False
    frame: FrameType | None = top
    while frame is not None and frame.f_code is not above:
        root = str(frame.f_globals.get("__name__")).partition(".")[0]
        if root in HOLDING:
            harmless = (waits and root in WAITING) or (
                root == "contextlib" and frame.f_code.co_name in _RUNS_ITS_CALLER
            )
            if not harmless:
                return None
        elif root in OURS:
            innermost_is_ours = innermost_is_ours is not False
        elif root not in sys.stdlib_module_names:
            application_seen = True
            innermost_is_ours = innermost_is_ours is True
        frame = frame.f_back
    return None if innermost_is_ours and application_seen else place


def seek_place(thread: int, *, above: CodeType) -> Place | None:
    """Check up to ``LOOKS`` times within some milliseconds; ends early if the thread only waits.

    For a thread in which ``find_place`` found no place. A thread mostly gets the global lock when another one writes
    or waits, so a job that does little but log is in ``logging`` at every check (measured: no other place within 20
    s). A short switch interval during each check stops the thread between any two bytecodes. Four threads that only
    logged to one handler still took some seconds each to interrupt; with 15 µs of other work between two lines, 40
    ms.
    """
    interval = sys.getswitchinterval()
    last: tuple[int, int] | None = None
    still = 0
    for _ in range(LOOKS):
        sys.setswitchinterval(1e-6)
        time.sleep(2e-5)
        sys.setswitchinterval(interval)
        # ``find_place`` has already looked for a wait; one seen here may have ended and wait for the global lock.
        place = find_place(thread, above=above, admit_waits=False)
        top = frame_of(thread)
        if place is not None or top is None:
            return place
        here = (id(top), top.f_lasti)
        still = still + 1 if here == last else 0
        if still == STILL:
            return None
        last = here
    return None


def send(thread: int, place: Place, error: type[Interrupt], *, before: Callable[[], None] | None = None) -> bool:
    """Raise ``error`` in ``thread`` if it is still at ``place``; returns whether it did.

    ``before`` is for tests: it is called between the check and the sending, where nothing else can run.
    """
    with Uncollected():
        frame = sys._current_frames().get(thread)
        # No line from here to the sending calls Python or jumps back, so this thread keeps the global lock: the
        # other thread cannot move from the place that we see to one where the interrupt would leave a lock held.
        if frame is place.frame and frame.f_lasti == place.instruction:
            if before is not None:
                before()
            _set_async_exc(thread, error)
            return True
    return False


def clear(thread: int) -> None:
    """Forget an interrupt that was sent to ``thread`` and has not landed."""
    _clear_async_exc(thread, None)


def _find_waits() -> frozenset[int]:
    """The instructions of ``Condition.wait`` that wait.

    An interrupt is safe there, since they are in a ``try`` written for KeyboardInterrupt. It must be allowed there,
    since a job that polls ``event.wait(1)`` is in ``threading`` at every check.
    """
    waits: set[int] = set()
    released = acquires = False
    for step in dis.get_instructions(threading.Condition.wait):
        released = released or step.argval == "_release_save"
        if step.argval == "acquire":
            acquires = released
        elif acquires and step.opname in ("PRECALL", "CALL"):
            waits.add(step.offset)
            acquires = step.opname == "PRECALL"
    return frozenset(waits)


_WAITS = _find_waits()
