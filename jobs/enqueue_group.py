"""Group commit for enqueueing: one statement inserts the runs that are enqueued at the same moment.

One caller (the leader) inserts. Callers that arrive meanwhile wait, and the next leader inserts their runs together.
No caller waits to fill a batch: a single caller inserts its run at once. Threads and coroutines share one group.

After a batch of several the next leader lets other threads run, as long as more of them come and fewer wait than last
time. Otherwise the first caller to come back would insert its run alone, while the rest of the batch is just waking up.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from jobs.clock import SystemClock
from jobs.errors import LedgerRefused
from jobs.ledger.records import NewRun

MAX_BATCH = 500
"""Most runs that one statement inserts. Source: measured; larger batches gain nothing."""
POLL_SECONDS = 0.05
"""How often a waiting caller checks whether it must insert itself, because the leader died. Source: decision."""

Write = Callable[[Sequence[NewRun], bool], None]
"""Inserts runs and commits. The second argument is True if some of the runs may be in the ledger already."""
_CLOCK = SystemClock()


class _Call:
    """One caller's run and the result that it waits for."""

    __slots__ = ("_wakeups", "error", "future", "is_done", "may_exist", "run", "write")

    def __init__(self, run: NewRun, write: Write, future: asyncio.Future[None] | None = None) -> None:
        self.run = run
        self.write = write
        self.future = future
        self.is_done = False
        self.may_exist = False
        self.error: BaseException | None = None
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        self._wakeups.put(None)

    def wait(self, seconds: float) -> None:
        try:
            self._wakeups.get(timeout=seconds)
        except queue.Empty:
            pass


def _finish(calls: list[_Call], error: Exception | None = None) -> None:
    """Give each of ``calls`` its result; the coroutines of one event loop are woken together."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
    for call in calls:
        # Each call gets its own error object: raising an error adds a traceback to it.
        call.error = copy.copy(error) if error is not None else None
        call.is_done = True
        if call.future is None:
            call.wake()
        else:
            by_loop.setdefault(call.future.get_loop(), []).append(call)
    for loop, some in by_loop.items():
        # RuntimeError: the loop is closed, so no coroutine waits there any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, some)


def _resolve(calls: list[_Call]) -> None:
    for call in calls:
        future = call.future
        if future is None or future.done():
            continue  # cancelled
        if call.error is None:
            future.set_result(None)
        else:
            future.set_exception(call.error)


class EnqueueGroup:
    """The callers of one process that enqueue into one ledger.

    Reentrant: a signal handler may enqueue while its thread inserts for others.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        # The leader holds it. Reentrant for signal handlers; released even if the leading thread raises.
        self._leading = threading.RLock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_woken = False
        self._last_size = 0
        """Runs of the last batch."""

    def enqueue(self, run: NewRun, write: Write) -> None:
        """Insert ``run`` and commit it, together with the runs that others enqueue at the same moment.

        Args:
            write: the same function for every caller of a group.

        Raises:
            ServiceDown: the ledger does not answer.
            LedgerRefused: the ledger refuses this run.
        """
        call = _Call(run, write)
        self._waiting.append(call)
        while not call.is_done:
            if self._leading.acquire(blocking=False):
                try:
                    self._insert_waiting()
                finally:
                    # Also if this thread was interrupted: it has put its batch back, and the others go on.
                    self._leading.release()
                    self._hand_over()
            else:
                call.wait(POLL_SECONDS)
        if call.error is not None:
            raise call.error

    async def enqueue_async(self, run: NewRun, write: Write) -> None:
        """``enqueue`` for coroutines: waits without a thread of its own.

        Cancelling the coroutine does not withdraw its run: the run is inserted all the same.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(run, write, future))
        self._wake_thread()
        await future

    def _insert_waiting(self) -> None:
        came = 0
        while came < len(self._waiting) < self._last_size:
            came = len(self._waiting)
            _CLOCK.sleep(0)
        calls: list[_Call] = []
        while len(calls) < MAX_BATCH:
            try:
                calls.append(self._waiting.popleft())
            except IndexError:
                break
        self._last_size = len(calls)
        if calls:
            self._insert(calls)

    def _insert(self, calls: list[_Call]) -> None:
        try:
            calls[0].write([call.run for call in calls], any(call.may_exist for call in calls))
        except LedgerRefused as error:
            if len(calls) == 1:
                _finish(calls, error)
                return
            # The ledger refused one of them. Insert each run alone, so that each caller gets its own result.
            for call in calls:
                self._insert([call])
        except Exception as error:
            # Also one that is no JobsError: the thread that inserts for coroutines must not end with it.
            _finish(calls, error)
        except BaseException:
            # The leader was interrupted and may have committed its statement. The other callers go on.
            for call in calls:
                call.may_exist = True
            self._waiting.extendleft(reversed(calls))
            raise
        else:
            _finish(calls)

    def _hand_over(self) -> None:
        """Make the first waiting caller the leader."""
        try:
            first = self._waiting[0]
        except IndexError:
            return
        if first.future is None:
            first.wake()
        else:
            self._wake_thread()

    def _wake_thread(self) -> None:
        """Wake the thread that inserts for coroutines; the first coroutine that enqueues starts it."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._lead, name="jobs-enqueue", daemon=True)
                    self._thread.start()
        if not self._is_woken:
            self._is_woken = True
            self._wakeups.put(None)

    def _lead(self) -> None:
        while True:
            self._wakeups.get()
            # Clear the flag before looking, so that a call that arrives later wakes the thread again.
            self._is_woken = False
            while self._waiting:
                with self._leading:
                    self._insert_waiting()
