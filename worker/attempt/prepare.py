"""Calls a kind's ``prepare`` once a process before its first run, again with back-off when it fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from datetime import timedelta

from jobs.app import App
from jobs.client.job import Job
from jobs.clock import doubled
from jobs.events import ServiceFailed

log = logging.getLogger("jobs.worker")

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until ``prepare`` is called again after a failure; doubled each time. Source: decision."""


class NotPrepared(Exception):
    """The kind cannot be performed in this process yet. Its run waits for ``delay``, uncharged."""

    def __init__(self, kind: str, cause: BaseException, delay: timedelta) -> None:
        super().__init__(f"{kind}.prepare failed: {type(cause).__name__}: {cause}")
        self.cause = cause
        self.delay = delay


class _Kind:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_ready = False
        self.failures = 0
        self.again_at = 0.0
        self.cause: BaseException | None = None


class Preparations:
    """Calls ``prepare`` once for each kind. Thread-safe: the first thread prepares a kind, the others wait."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._kinds: dict[type[Job], _Kind] = {}
        self._making = threading.Lock()
        self._futures: dict[type[Job], Future[None]] = {}

    def make_ready(self, cls: type[Job]) -> None:
        """Return when the kind's ``prepare`` has succeeded in this process.

        Raises:
            NotPrepared: it failed; it is not called again before its back-off ends.
        """
        kind = self._kinds.get(cls)
        if kind is not None and kind.is_ready:
            return
        with self._making:
            kind = self._kinds.setdefault(cls, _Kind())
        with kind.lock:
            if kind.is_ready:
                return
            now = self._app.clock.monotonic()
            if kind.cause is not None and now < kind.again_at:
                raise NotPrepared(cls.options.kind, kind.cause, timedelta(seconds=kind.again_at - now))
            self._call(cls, kind)

    async def make_ready_async(self, cls: type[Job]) -> None:
        """The same for coroutines: one thread prepares a kind, however many coroutines wait, and the loop is not
        blocked."""
        kind = self._kinds.get(cls)
        if kind is not None and kind.is_ready:
            return
        future = self._futures.get(cls)
        if future is None:
            future = self._futures[cls] = Future()
            threading.Thread(target=self._fulfil, args=(cls, future), name="jobs-prepare", daemon=True).start()
        await asyncio.shield(asyncio.wrap_future(future))

    def _fulfil(self, cls: type[Job], future: Future[None]) -> None:
        try:
            self.make_ready(cls)
        except BaseException as error:
            del self._futures[cls]
            future.set_exception(error)
        else:
            del self._futures[cls]
            future.set_result(None)

    def failing(self) -> list[str]:
        """The kinds whose ``prepare`` failed and whose back-off has not ended."""
        now = self._app.clock.monotonic()
        return [
            cls.options.kind
            for cls, kind in list(self._kinds.items())
            if kind.cause is not None and not kind.is_ready and now < kind.again_at
        ]

    def _call(self, cls: type[Job], kind: _Kind) -> None:
        try:
            cls.prepare()
        except Exception as error:
            wait = doubled(FIRST_WAIT, kind.failures, most=LONGEST_WAIT)
            kind.failures += 1
            kind.cause = error
            kind.again_at = self._app.clock.monotonic() + wait
            told = {"kind": cls.options.kind, "failures": kind.failures, "retry_in_seconds": wait}
            log.error("Prepare failed, the job's runs wait", exc_info=True, extra=told)
            self._app.events.emit([ServiceFailed("prepare", cls.options.kind, f"{type(error).__name__}: {error}")])
            raise NotPrepared(cls.options.kind, error, timedelta(seconds=wait)) from error
        kind.is_ready, kind.cause = True, None
