"""Performs async jobs, many at once, on one event loop in a thread of its own.

Each job is a task with its own context. The soft limit and cancellation cancel the task. A watcher thread works even
when a coroutine blocks the loop: it logs which one, and ends attempts at their hard limit.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from jobs.app import App
from jobs.client.job import Job
from jobs.errors import Cancelled
from jobs.ledger.records import AttemptResult, Claim
from jobs.runtime import own_threads
from jobs.runtime.attempt_state import StopSign
from jobs.runtime.context import current_run
from worker.attempt.attempt import Attempts
from worker.attempt.limits import limits_of
from worker.attempt.outcome import broken
from worker.attempt.stop_flag import StopFlag
from worker.exchange.delivery import Delivery
from worker.exchange.settler import Settler
from worker.process.live_coroutine import LiveCoroutine
from worker.process.start_log import log_start
from worker.protocol.running_table import RunningRows
from worker.timeouts.async_timeout import Pausing
from worker.timeouts.thread_frames import frame_of

log = logging.getLogger("jobs.worker")

POLL_SECONDS = 0.1
"""How often the watcher looks, while any run is performed."""
BLOCKED_SECONDS = 0.5
"""A loop that has not run for this long is blocked. Source: decision; other coroutines are affected much earlier."""


class Coroutines:
    """The async lane of a process. The loop starts with the first run.

    Args:
        on_room: called on the loop's thread when a run has ended.
        on_stuck: called on the watcher's thread when an attempt was ended but its coroutine still runs; the argument
        says whether it blocks the loop.
    """

    def __init__(
        self,
        app: App,
        attempts: Attempts,
        settler: Settler,
        running_rows: RunningRows,
        *,
        capacity: int,
        worker: str,
        stopping: StopSign,
        on_room: Callable[[], None],
        on_stuck: Callable[[bool], None],
    ) -> None:
        self._app = app
        self._attempts = attempts
        self._settler = settler
        self._running_rows = running_rows
        self._capacity = capacity
        self._worker = worker
        self._stopping = stopping
        self._on_room = on_room
        self._on_stuck = on_stuck
        self._live: dict[UUID, LiveCoroutine] = {}  # By token.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: threading.Thread | None = None
        self._ticked = 0.0
        self._warned: LiveCoroutine | None = None
        self._closed = threading.Event()
        self._work = threading.Event()

    def __len__(self) -> int:
        return len(self._live)

    def room(self) -> int:
        """How many more runs it accepts."""
        return max(0, self._capacity - len(self._live))

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Perform these runs. Call it from one thread only."""
        now = self._app.clock.monotonic()
        lives = [LiveCoroutine(one, StopFlag(self._stopping), now) for one in deliveries]
        for live in lives:
            self._live[live.delivery.claim.token] = live
        self._running_loop().call_soon_threadsafe(self._begin, lives)
        self._work.set()

    def performing(self) -> list[Claim]:
        """The claims that coroutines perform now."""
        return [live.delivery.claim for live in list(self._live.values())]

    def cancel(self, token: UUID) -> None:
        """Cancel the coroutine of this attempt, if this process performs it."""
        live = self._live.get(token)
        if live is not None:
            live.stop_flag.set()
            live.limited.interrupt_soon(Cancelled)

    def release_all(self) -> None:
        """The shutdown time is over: release the runs that are still performed, uncharged but recorded."""
        for live in list(self._live.values()):
            if live.take_end():
                self._end(live, self._attempts.released(live.delivery.claim, live.began))
                if self._loop is not None and live.task is not None:
                    with suppress(RuntimeError):
                        self._loop.call_soon_threadsafe(live.task.cancel)

    def close(self) -> None:
        """Stop the loop. If a coroutine blocks it, its thread is left running."""
        self._closed.set()
        self._work.set()
        if self._loop is not None and self._loop_thread is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop_thread.join(1.0)

    # On the loop

    def _begin(self, lives: list[LiveCoroutine]) -> None:
        for live in lives:
            claim = live.delivery.claim
            if live.may_end:
                live.task = asyncio.get_running_loop().create_task(
                    self._perform(live), name=f"{claim.kind} {claim.run_id}"
                )

    async def _perform(self, live: LiveCoroutine) -> None:
        claim, running_rows = live.delivery.claim, self._running_rows

        async def within_limits(job: object) -> object:
            limits = limits_of(claim.kind, self._app.settings)
            if limits.hard is not None:
                live.hard_until = self._app.clock.monotonic() + limits.hard
            live.delivery.running_row = running_rows.start(claim.token, live.hard_until)
            run = current_run.get()
            assert run is not None
            run.limits = Pausing(
                self._app.clock, live.limited, live.hard_until, partial(live.limit, running_rows=running_rows)
            )
            return await live.limited.perform(job, limits.soft)  # type: ignore[arg-type]

        try:
            if self._app.settings.log_starts:
                log_start(self._app, live.delivery)
            attempt_result, run = await self._attempts.attempt_async(
                claim, within_limits, stop=live.stop_flag, prepare=self._prepare
            )
        except BaseException as error:
            # Nothing awaits this task: an attempt that did not end here would keep its lease for ever.
            if live.take_end():
                running_rows.ended(live.delivery.running_row)
                self._end(live, broken(self._app, claim, live.began, error))
            return
        if not live.take_end():
            run.rollback()
            return
        running_rows.ended(live.delivery.running_row)
        if run.session is not None:
            commit = partial(self._attempts.commit, attempt_result, run, worker=self._worker)
            live.delivery.settled = await own_threads.hold(commit)
        self._end(live, attempt_result)

    async def _prepare(self, cls: type[Job]) -> None:
        if cls.prepare.__func__ is not Job.prepare.__func__:  # type: ignore[attr-defined]
            await self._attempts.preparations.make_ready_async(cls)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ticked = self._app.clock.monotonic()
        # Only while a run is performed: an idle process must not wake up.
        if self._live:
            loop.call_later(POLL_SECONDS, self._tick, loop)
        else:
            self._ticked = 0.0

    # From any thread

    def _end(self, live: LiveCoroutine, attempt_result: AttemptResult) -> None:
        live.delivery.attempt_result = attempt_result
        self._live.pop(live.delivery.claim.token, None)
        self._settler.put(live.delivery)
        self._on_room()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop_thread = threading.Thread(target=self._run, name="jobs-coroutines", daemon=True)
            self._loop_thread.start()
            threading.Thread(target=self._watch, name="jobs-coroutines-watch", daemon=True).start()
        return self._loop

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        while not self._closed.is_set():
            # Jobs share the loop: one that stops it, or raises SystemExit through it, must not end it for the others.
            try:
                loop.run_forever()
            except BaseException as error:
                log.warning("Task of a job stopped the event loop", extra={"error_type": type(error).__name__})

    # The watcher

    def _watch(self) -> None:
        loop = self._loop
        assert loop is not None
        while not self._closed.is_set():
            self._work.wait()
            self._work.clear()
            while self._live and not self._closed.is_set():
                if not self._ticked:
                    self._ticked = self._app.clock.monotonic()
                    loop.call_soon_threadsafe(self._tick, loop)
                try:
                    self._look(loop)
                except Exception:
                    log.exception("Coroutine watch failed and is tried again")
                self._closed.wait(POLL_SECONDS)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._app.clock.monotonic()
        ticked = self._ticked
        blocker = self._current(loop) if ticked and now - ticked > BLOCKED_SECONDS else None
        if blocker is not None and blocker is not self._warned:
            self._warned = blocker
            self._report(blocker, now - ticked)
        late = [live for live in list(self._live.values()) if now >= live.hard_until]
        if not late:
            return
        # While one coroutine blocks the loop the others cannot end: only that one is at fault, so release the others.
        guilty = late if blocker is None else [blocker]
        for live in guilty:
            if live.take_end():
                why = (
                    "The coroutine did not end when it was cancelled at its time limit, nor by the hard limit."
                    if blocker is None
                    else "The coroutine blocked the event loop, so no coroutine of the process could continue."
                )
                thread = self._loop_thread.ident if blocker is not None and self._loop_thread else None
                attempt_result = self._attempts.over(live.delivery.claim, now - live.began, thread=thread, why=why)
                self._running_rows.ended(live.delivery.running_row)
                self._end(live, attempt_result)
        if blocker is not None:
            self.release_all()
        self._on_stuck(blocker is not None)

    def _current(self, loop: asyncio.AbstractEventLoop) -> LiveCoroutine | None:
        task = asyncio.current_task(loop)
        return next((live for live in list(self._live.values()) if live.task is task), None) if task else None

    def _report(self, live: LiveCoroutine, seconds: float) -> None:
        thread = self._loop_thread.ident if self._loop_thread is not None else None
        frame = frame_of(thread) if thread is not None else None
        claim = live.delivery.claim
        log.warning(
            "Coroutine blocks the event loop and every other async job of its process",
            extra={
                "kind": claim.kind,
                "run_id": str(claim.run_id),
                "seconds": round(seconds, 1),
                "where": "".join(traceback.format_stack(frame, limit=3)) if frame is not None else "",
            },
        )
