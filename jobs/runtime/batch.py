"""RunBatch: what a job sees of the batch that its run belongs to, or whose end it reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs.definition.checks import is_job
from jobs.errors import Conflict, EnqueueRefused
from jobs.formats.shown import shown
from jobs.ledger.batches.find import BatchRecord, batch_of_run, find_batch
from jobs.ledger.batches.gather import Child, children_of
from jobs.ledger.batches.members import add_members
from jobs.runtime.gather import Enqueueable
from jobs.runtime.steps import write_step
from jobs.runtime.waits import off_loop
from jobs.sealing.run_seal import is_closed, open_result

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.ledger.records import NewRun
    from jobs.runtime.transaction import Enqueueing

MAX_ADDED = 10_000
"""Jobs of one ``add_many``. Source: decision; one transaction makes them all."""
PAGE = 500


class RunBatch:
    """The batch of a run. ``generation`` is 1, and rises each time the batch is reopened by a replay."""

    def __init__(self, run: Enqueueing) -> None:
        with run.app.database.read() as connection:
            found = batch_of_run(connection, run.id)
        if found is None:
            raise Conflict(
                f"Run {run.id} belongs to no batch, and reports none.", hint="Add it to one: with jobs.batch(…)."
            )
        self._run = run
        self.record: BatchRecord = found[0]
        self.generation: int = found[1]

    @property
    def id(self) -> UUID:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    def add(self, job: Enqueueable) -> UUID:
        """Add one job to the batch; see ``add_many``. Returns the id of its run."""
        return self.add_many([job])[0]

    def add_many(self, jobs: Iterable[Enqueueable]) -> list[UUID]:
        """Add jobs to the batch while this member performs. Commits at once; returns the ids of their runs.

        An attempt that is repeated adds again: call it inside ``self.run.once`` if it must add once.

        Raises:
            EnqueueRefused: an item is no job, or there are more than 10,000; nothing was added.
            Conflict: this run is no member (a callback is none), or the batch was cancelled.
            LeaseLost: another attempt has the run; nothing was added.
        """
        run = self._run
        run.refuse_inside("batch.add()")
        new: list[NewRun] = []
        for job in jobs:
            if not is_job(job):
                raise EnqueueRefused(f"A batch takes jobs, got {shown(job)}.", hint="self.run.batch.add(Part(n=1))")
            if len(new) >= MAX_ADDED:
                raise EnqueueRefused(f"add_many() takes at most {MAX_ADDED:,} jobs.", hint="Call it several times.")
            one = run.new_run(job)
            one.batch_id = self.id
            new.append(one)
        made = write_step(run, lambda connection: add_members(connection, self.id, new, member=(run.id, run.token)))
        run.announce(made)
        return [one.id for one in new]

    async def add_many_async(self, jobs: Iterable[Enqueueable]) -> list[UUID]:
        """``add_many`` for async jobs."""
        return await off_loop(self._run, lambda: self.add_many(jobs))

    def results(self) -> Iterator[Child]:
        """The members in the order in which they were enqueued, with their states and results; read page by page."""
        return members_of(self._run.app, self.id)

    def refresh(self) -> BatchRecord:
        """The batch as it is now, with its counts."""
        with self._run.app.database.read() as connection:
            found = find_batch(connection, self.id)
        if found is not None:
            self.record = found
        return self.record


def members_of(app: App, batch_id: UUID) -> Iterator[Child]:
    """The members of a batch, page by page."""
    after: UUID | None = None
    while True:
        with app.database.read() as connection:
            page: list[Any] = children_of(connection, batch_id, after=after, limit=PAGE)
        for one in page:
            yield replace(one, result=open_result(app, one.kind, one.id, one.result)) if is_closed(one.result) else one
        if len(page) < PAGE:
            return
        after = page[-1].id
