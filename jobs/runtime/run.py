"""Run: a job's view of its own run while it performs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from jobs.ledger.batches.gather import Child
from jobs.ledger.batches.parents import parents_of
from jobs.runtime import limit_holds, waits
from jobs.runtime.attempt_log import level_name
from jobs.runtime.attempt_state import AttemptState
from jobs.runtime.batch import RunBatch
from jobs.runtime.cursor import SAVE_EVERY, Cursor, checkpointed
from jobs.runtime.gather import Enqueueable, OnDead, gather, gather_async
from jobs.runtime.progress import Progress
from jobs.runtime.steps import IfUnknown, once, once_async, take_name
from jobs.runtime.transaction import RunTransaction
from jobs.sealing.run_seal import open_result
from jobs.sealing.seals import stable

T = TypeVar("T")


class Run(AttemptState):
    """The run that a job performs, and the calls to the ledger that it may make.

    Attributes:
        id: the run's id; the same in every attempt.
        attempt: this attempt's number, from 1.
        key: the key that the run was enqueued with.
        created_at: when it was enqueued; aware, UTC, by the ledger's clock.
        scheduled_for: the moment of its slot, if a schedule made it.
        worker: the name of the worker process that performs it, as the ledger records it.
    """

    __slots__ = ()

    def transaction(self) -> RunTransaction:
        """A session whose writes commit together with this run's success, or not at all.

            with self.run.transaction() as session:
                session.add(Payment(...))

        Leaving the block flushes; the commit comes when ``perform`` has returned. Runs that the job enqueues from the
        block on are enqueued by the same commit. Make it the last step of the job: on SQLite it holds the only write
        lock. Once per attempt; ``async with`` in async jobs.

        Raises:
            Conflict: this attempt has already opened its transaction.
        """
        return RunTransaction(self)

    def once(
        self,
        name: str,
        fn: Callable[[], Any],
        *,
        if_unknown: IfUnknown = "repeat",
        ask: Callable[[str], Any] | None = None,
    ) -> Any:
        """Call ``fn`` in one attempt only; later attempts get its result, as read back from JSON.

        The ledger commits an intent before the call and its end after. If a process dies in between, it is unknown
        whether the effect took place: a later attempt repeats it, or, with ``if_unknown="stop"``, the run is dead as
        ``unknown_effect``. An error that ``fn`` raises leaves this open too; a steering signal (``RetryAfter``,
        ``Snooze``, …) means that the effect did not take place. Pass ``effect_key(name)`` to the other side, so that
        it can detect a repeated call.

        ``ask`` finds out by itself: when it is unknown whether the effect took place, the attempt calls it with
        ``effect_key(name)``. What it returns is the result of the effect; None means that the effect did not take
        place, and ``fn`` is called. An error that it raises leaves the effect unknown. With ``ask``, ``if_unknown`` has
        no effect.

        Raises:
            StepRepeated: this attempt has already used the name.
            StepRefused: the result is not JSON, or is larger than ``max_result_bytes``.
            LeaseLost: another attempt has the run.
        """
        return once(self, name, fn, if_unknown, partial(ask, self.effect_key(name)) if ask is not None else None)

    async def once_async(
        self,
        name: str,
        fn: Callable[[], Awaitable[Any]],
        *,
        if_unknown: IfUnknown = "repeat",
        ask: Callable[[str], Awaitable[Any]] | None = None,
    ) -> Any:
        """``once`` for async jobs: ``fn`` and ``ask`` are awaited."""
        asked = partial(ask, self.effect_key(name)) if ask is not None else None
        return await once_async(self, name, fn, if_unknown, asked)

    def wait_for(self, name: str, *, within: timedelta | None = None) -> Any:
        """Wait for the signal ``name``, and return its payload; the first signal of a name counts, whenever it came.

        If it has not come yet, the attempt ends here, uncharged: the run holds no thread and no lease. When the signal
        comes, ``perform`` begins again, and its steps (``once``, ``wait_for``, …) give their recorded results.

        Args:
            within: the longest wait, counted from the first attempt that came here; None is without end.

        Raises:
            WaitExpired: no signal came in time. Later attempts raise it again.
            StepRepeated: this attempt has already used the name.
            Conflict: a transaction of the run is open.
            LeaseLost: another attempt has the run.
        """
        return waits.wait_for(self, name, within)

    async def wait_for_async(self, name: str, *, within: timedelta | None = None) -> Any:
        """``wait_for`` for async jobs."""
        return await waits.wait_for_async(self, name, within)

    def sleep(self, name: str, span: timedelta) -> None:
        """Go on once ``span`` has passed since the first attempt that came here. The run holds no thread meanwhile.

        The attempt ends here, uncharged, and ``perform`` begins again afterwards, as for ``wait_for``. ``name`` is the
        name of a step.

        Raises:
            StepRepeated: this attempt has already used the name.
            Conflict: a transaction of the run is open.
            LeaseLost: another attempt has the run.
        """
        waits.sleep(self, name, span)

    async def sleep_async(self, name: str, span: timedelta) -> None:
        """``sleep`` for async jobs."""
        await waits.sleep_async(self, name, span)

    def gather(self, step: str, jobs: Iterable[Enqueueable], *, on_dead: OnDead = "raise") -> list[Any]:
        """Make ``jobs`` the children of this run, wait until all have ended, and return their results in order.

            parts = self.run.gather("parts", [Part(n=n) for n in range(500)])

        The children are made once, also if this process dies meanwhile: those of the first attempt that came here
        count. While they work, this run holds no thread, no lease and no attempt; ``perform`` begins again when the
        last has ended.

        Args:
            step: the name of a step; no other step of this attempt may have it.
            jobs: at most 100,000. A generator is read once, by the attempt that makes the children.
            on_dead: what happens when children are dead or cancelled. ``raise``: ChildDead, which ends the run.
                ``collect``: their places in the list hold a ChildDead.

        Raises:
            ChildDead: children did not succeed; ``children`` names them.
            EnqueueRefused: ``jobs`` are no jobs, or too many; nothing was made.
            KeyConflict: another run holds the key of a child.
            Conflict: a transaction of the run is open.
            LeaseLost: another attempt has the run; nothing of the last part was made.
        """
        return gather(self, step, jobs, on_dead, self.new_runs, self.announce)

    async def gather_async(self, step: str, jobs: Iterable[Enqueueable], *, on_dead: OnDead = "raise") -> list[Any]:
        """``gather`` for async jobs."""
        return await gather_async(self, step, jobs, on_dead, self.new_runs, self.announce)

    def parents(self) -> list[Child]:
        """The runs that this one was enqueued ``after``, in that order, with their states and results."""
        with self.app.database.read() as connection:
            found = parents_of(connection, self.id)
        return [replace(one, result=open_result(self.app, one.kind, one.id, one.result)) for one in found]

    async def parents_async(self) -> list[Child]:
        """``parents`` for async jobs."""
        return await waits.off_loop(self, self.parents)

    @property
    def batch(self) -> RunBatch:
        """The batch that this run belongs to, or whose end it reports as a callback.

        Raises:
            Conflict: neither.
        """
        return RunBatch(self)

    def callback_url(self, name: str, *, within: timedelta) -> str:
        """A URL to which an outside system may POST the JSON payload of the signal ``name``, without an account.

        It works once, and for the span ``within``. The ledger stores only a hash of its token, so each call makes
        another URL: call it inside ``once`` together with the code that sends it.

            self.run.once("ask", lambda: mail(self.run.callback_url("approval", within=timedelta(days=3))))

        Raises:
            ConfigurationError: ``JOBS_PUBLIC_URL`` is not set.
            LeaseLost: another attempt has the run.
        """
        return waits.callback_url(self, name, within)

    async def callback_url_async(self, name: str, *, within: timedelta) -> str:
        """``callback_url`` for async jobs."""
        return await waits.callback_url_async(self, name, within)

    def hold(self, name: str, *, for_: timedelta, key: object = None) -> None:
        """Start no run of the limit or rate ``name`` before ``for_`` has passed, in no process: the provider said so.

            if response.status_code == 429:
                self.run.hold("stripe", for_=timedelta(seconds=30))
                raise RetryAfter(timedelta(seconds=30))

        Runs that have started go on, also this one. A longer hold stays. The runs that are held back are parked: no
        attempt, no charge. An operator may clear it: ``jobledger limits clear stripe``.

        Args:
            key: the value of the limit's field; without it, for all keys.

        Raises:
            NotFound: no job of this process or of a worker declares the name.
            EnqueueRefused: ``for_`` or ``key`` is not possible.
            Conflict: a transaction of the run is open.
            LeaseLost: another attempt has the run; nothing is held.
        """
        limit_holds.hold(self, name, for_, key)

    async def hold_async(self, name: str, *, for_: timedelta, key: object = None) -> None:
        """``hold`` for async jobs."""
        await limit_holds.hold_async(self, name, for_, key)

    def effect_key(self, name: str) -> str:
        """An idempotency key for a step's effect, by which the other side detects a repeated call.

        The same in every attempt and after a replay; different once the run's arguments are replaced.
        """
        # What is sealed counts by its hash: a new key must not change the name of an effect.
        text = self._claim.arguments if self.seal is None else stable(self._claim.arguments)
        digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return f"{self.id}:{digest}:{name}"

    def cursor(self, name: str, start: Any = 0) -> Cursor:
        """The stored position of this run under ``name``: ``start``, or what an earlier attempt committed.

        Raises:
            StepRepeated: this attempt has already used the name.
        """
        take_name(self, name)
        return Cursor(self, name, start)

    def checkpointed(self, items: Iterable[T], *, name: str = "items", every: timedelta = SAVE_EVERY) -> Iterator[T]:
        """The items of ``items`` that no earlier attempt has finished; the order must be the same in each attempt.

        The position is saved once per ``every``, at the end, and when the worker stops: the run then goes back to its
        queue, uncharged. A later attempt may repeat the items since the last save (at least once). Use ``cursor`` for
        exactly once.
        """
        take_name(self, name)
        return checkpointed(self, items, name, every)

    def log(self, message: str, *args: object, level: int | str = "INFO") -> None:
        """Keep a line with this attempt: ``self.run.log("charged %s", order)``.

        ``jobledger logs`` shows it, also while the attempt performs. The first and the last lines of an attempt are
        kept, 1,000 and ``max_log_bytes`` at most, and the others are counted. Values of fields that the job declares as
        secret are hidden. It never fails the job. In jobs with ``capture_logs=True``, lines of ``logging`` and of
        ``print`` are kept too.

        Args:
            level: as for ``logging``; only shown.
        """
        self.own_log().add_formatted(level_name(level), "run", message, args)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report how far the job has come; ``jobs.find(id).progress`` shows it.

        Written once a second at most, and when the attempt ends. It never fails the job: if the ledger does not
        answer, the report is skipped, and a number that is not finite (NaN) is stored as null.
        """
        if self._progress is None:
            self._progress = Progress(self)
        self._progress.report(done, total, message)
