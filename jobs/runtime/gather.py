"""Gather: a run makes children, waits for them without a thread, and reads their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

from jobs.clock import new_run_id
from jobs.definition.checks import is_job
from jobs.errors import ChildDead, EnqueueRefused
from jobs.formats.shown import shown
from jobs.ledger.batches import gather as gathering
from jobs.ledger.batches.counts import CHILDREN_PREFIX
from jobs.ledger.batches.gather import MAX_CHILDREN, Child, child_ids
from jobs.ledger.effects import waits
from jobs.runtime.fault_points import reached
from jobs.runtime.steps import take_name, write_step
from jobs.runtime.suspended import Suspended
from jobs.runtime.waits import leave, off_loop
from jobs.sealing.run_seal import is_closed, open_result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jobs.app import App
    from jobs.ledger.records import NewRun
    from jobs.runtime.transaction import Performing

OnDead = Literal["raise", "collect"]


class Enqueueable(Protocol):
    """What can be a child: a job."""

    def new_run(self, app: App) -> NewRun: ...


CHUNK = 2_000
"""Children inserted by one transaction. Source: measured; each answer of the server costs a wait for busy threads."""
SHOWN = 5
Make = Callable[[Sequence[Any]], "list[NewRun]"]
Publish = Callable[[Sequence["NewRun"]], None]


def gather(run: Performing, step: str, jobs: Iterable[Any], on_dead: OnDead, make: Make, publish: Publish) -> list[Any]:
    """See ``Run.gather``.

    Args:
        make: makes the rows of jobs that are enqueued.
        publish: called with rows once they are committed.
    """
    if on_dead not in ("raise", "collect"):
        raise EnqueueRefused(f"on_dead= is 'raise' or 'collect', got {shown(on_dead)}.")
    take_name(run, step)
    run.refuse_inside("gather()")
    _check(jobs)
    # A generator is read only by an attempt that makes children: the one that joins them need not make the jobs again.
    many = None if isinstance(jobs, Iterator) else _read(jobs)
    gather_id, is_new = write_step(run, lambda connection: _begin(run, connection, step))
    reached("gather:begun")
    state = None if is_new else write_step(run, lambda connection: _open(run, connection, step, gather_id))
    if state is None or not state.is_sealed:
        new = make(_read(jobs) if many is None else many)
        state = _make_children(run, step, gather_id, new, publish, is_new=is_new)
    if not state.is_over:
        leave(run, Suspended(CHILDREN_PREFIX + step, until=None, batch_id=gather_id))
    return _results(run, step, gather_id, on_dead)


async def gather_async(
    run: Performing, step: str, jobs: Iterable[Any], on_dead: OnDead, make: Make, publish: Publish
) -> list[Any]:
    """See ``Run.gather_async``."""
    return await off_loop(run, lambda: gather(run, step, jobs, on_dead, make, publish))


def _check(jobs: Iterable[Any]) -> None:
    if not isinstance(jobs, Iterable) or hasattr(jobs, "new_run"):
        raise EnqueueRefused(f"gather() takes a list of jobs, got {shown(jobs)}.", hint='gather("parts", [Part(n=1)])')


def _read(jobs: Iterable[Any]) -> list[Any]:
    many = list(islice(jobs, MAX_CHILDREN + 1))
    if len(many) > MAX_CHILDREN:
        raise EnqueueRefused(
            f"gather() takes at most {MAX_CHILDREN:,} jobs.",
            hint="Gather in parts, whose jobs gather smaller ones; or use jobs.batch, which returns no list.",
        )
    for one in many:
        if not is_job(one):
            raise EnqueueRefused(f"gather() takes jobs, got {shown(one)}.", hint='gather("parts", [Part(n=1)])')
    return many


def _begin(run: Performing, connection: Connection, step: str) -> tuple[UUID, bool]:
    """The id of the gather, which the step keeps, and whether this attempt chose it."""
    chosen = new_run_id()
    wait = waits.begin_wait(
        connection, run.id, run.token, step, form=waits.GATHER, attempt=run.attempt, result=json.dumps(chosen.hex)
    )
    gather_id = UUID(wait.result)
    return gather_id, gather_id == chosen


def _open(run: Performing, connection: Connection, step: str, gather_id: UUID) -> gathering.GatherState:
    return gathering.open_gather(
        connection, run.id, run.token, step, gather_id, enqueued_by=None, correlation_id=run.correlation_id
    )


def _make_children(
    run: Performing, step: str, gather_id: UUID, new: Sequence[NewRun], publish: Publish, *, is_new: bool
) -> gathering.GatherState:
    """Insert the children in transactions of bounded size; each checks that this attempt still holds the lease.

    Args:
        is_new: this attempt chose the gather, so that none of its children exists.
    """
    child_id = child_ids(gather_id)
    for position, one in enumerate(new):
        one.id, one.batch_id = child_id(position), gather_id
    starts = range(0, max(1, len(new)), CHUNK)
    for start in starts:
        chunk = new[start : start + CHUNK]

        def write(connection: Connection, chunk: Sequence[NewRun] = chunk, start: int = start) -> gathering.GatherState:
            if start == starts[0]:
                _open(run, connection, step, gather_id)
            else:
                gathering.look_at_gather(connection, run.id, run.token, gather_id)
            if chunk:
                run.app.database.send_notify(connection)
            return gathering.add_children(
                connection, gather_id, chunk, may_exist=not is_new, is_last=start == starts[-1]
            )  # fmt: skip

        state = write_step(run, write)
        publish(chunk)
        reached("gather:children")
    reached("gather:sealed")
    return state


def _results(run: Performing, step: str, gather_id: UUID, on_dead: OnDead) -> list[Any]:
    with run.app.database.read() as connection:
        results = gathering.results_of(connection, gather_id)
        if results is not None and not any(map(is_closed, results)):
            return results
        children = gathering.children_of(connection, gather_id)
    bad = [one for one in children if not one.has_succeeded]
    if bad and on_dead == "raise":
        raise _dead(step, bad, len(children))
    return [
        open_result(run.app, one.kind, one.id, one.result) if one.has_succeeded else _dead(step, [one], len(children))
        for one in children
    ]


def _dead(step: str, bad: Sequence[Child], total: int) -> ChildDead:
    some = "; ".join(f"{one.kind} {str(one.id)[-8:]} is {one.state}{_why(one)}" for one in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return ChildDead(
        f"{len(bad):,} of {total:,} children of step {step!r} did not succeed: {some}{more}.",
        children=bad,
        hint="Replay them, and then this run; or gather with on_dead='collect'.",
    )


def _why(one: Child) -> str:
    return f" ({one.error_type.rpartition('.')[2]})" if one.error_type else ""
