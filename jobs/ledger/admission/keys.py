"""Unique keys: a run is admitted once. A second run with a held key is not inserted; its caller gets the first.

A live run holds its key by a unique index on ``job_runs``. A key that is held for longer is also a row of ``job_keys``,
which is written before the run is inserted. A second caller waits for the first to commit, and then finds the holder.
Batches take keys in order, so that two of them cannot deadlock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, delete, literal, select, update

from jobs.database.models import JobKey, JobRun, JobStep
from jobs.database.sql import Executor, dialect_of, ledger_now
from jobs.errors import KeyBusy, KeyConflict
from jobs.ledger.admission.insert import insert_free, is_fair
from jobs.ledger.admission.key_statements import (
    TAKEN,
    WANTED,
    holder_is_live,
    look_up_holders,
    new_values,
    rewrite_waiting,
    take_keys,
)
from jobs.ledger.admission.key_waits import key_waits
from jobs.ledger.blobs.references import replace_held
from jobs.ledger.effects.followups import insert_followups, succeed_with
from jobs.ledger.records import Admitted, NewRun
from jobs.states import LIVE, RunState

ATTEMPTS = 10
"""How often an insert is tried again whose key was released and taken meanwhile. Source: decision."""

PLAIN_HASH = "sql"
"""Begins the hash of arguments that were recorded without the job's class: by the SQL functions, or in bulk."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Holder:
    run_id: UUID
    arguments_hash: str | None
    state: RunState | None
    queue: str
    priority: int


def admit(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> list[Admitted]:
    """Insert ``runs`` whose keys are free; the results of the others name the run that holds their key.

    One statement, for one run or many, if every key is free and held only while its run lives; one more for keys
    that are held longer, and one for each look at the holders. Results have the order of ``runs``.

    Raises:
        KeyConflict: a holder has other arguments, and the run does not replace them. Roll back.
        KeyBusy: another transaction has the key and does not end in time, or the holder changes again and again.
    """
    with key_waits():
        return _admit(session, runs, now)


def forget_lapsed(session: Executor, *, limit: int = 1000, now: datetime | None = None) -> int:
    """Delete keys whose time is over and whose run is not live; for the pruner."""
    lapsed = (
        select(JobKey.kind, JobKey.key)
        .where(JobKey.held_until <= ledger_now(), ~holder_is_live())
        .limit(limit)
        .subquery()
    )
    gone = session.execute(
        delete(JobKey)
        .where(
            select(literal(1)).where(lapsed.c.kind == JobKey.kind, lapsed.c.key == JobKey.key).exists(),
            JobKey.held_until <= ledger_now(),
        )
        .returning(JobKey.key),
        {"now": now},
    )
    return len(gone.all())


def _admit(session: Executor, runs: Sequence[NewRun], now: datetime | None) -> list[Admitted]:
    groups = _by_key(runs)
    left = sorted((_representative(group) for group in groups.values()), key=lambda run: (run.kind, run.key or ""))
    found: dict[UUID, Admitted] = {}
    for _ in range(ATTEMPTS):
        taken = _take_keys(session, left, now)
        inserted = insert_free(session, [run for run in left if run.id in taken], now=now)
        made = [run for run in left if run.id in inserted]
        found |= {run.id: Admitted(run, created=True) for run in made}
        insert_followups(session, made, now=now)
        held = [run for run in left if run.id not in inserted]
        if not held:
            break
        holders = _holders(session, held, now)
        left = []
        for run in held:
            holder = holders.get((run.kind, run.key or ""))
            answer = _answer(session, run, holder, now) if holder is not None else None
            if answer is None:
                left.append(run)
                continue
            found[run.id] = answer
            if run.id in taken and run.hold_seconds != 0.0:
                _point(session, run, answer.run.id)
        if not left:
            break
    else:
        raise KeyBusy("A key changed hands again and again while a run was enqueued with it.", hint="Try again.")
    return _in_order(runs, groups, found)


def _by_key(runs: Sequence[NewRun]) -> dict[Any, list[NewRun]]:
    groups: dict[Any, list[NewRun]] = {}
    for run in runs:
        groups.setdefault((run.kind, run.key) if run.key is not None else run.id, []).append(run)
    return groups


def _representative(group: list[NewRun]) -> NewRun:
    """The run that represents all runs with one key: the first, or the last of those that replace."""
    if group[0].on_conflict == "replace":
        return group[-1]
    for run in group[1:]:
        if run.arguments_hash != group[0].arguments_hash:
            raise _conflict(run, group[0].id)
    return group[0]


def _in_order(runs: Sequence[NewRun], groups: dict[Any, list[NewRun]], found: dict[UUID, Admitted]) -> list[Admitted]:
    answers: dict[UUID, Admitted] = {}
    for group in groups.values():
        answer = found[_representative(group).id]
        for place, run in enumerate(group):
            answers[run.id] = answer if place == 0 else Admitted(answer.run, created=False)
    return [answers[run.id] for run in runs]


def _take_keys(session: Executor, runs: Iterable[NewRun], now: datetime | None) -> set[UUID]:
    """Those of ``runs`` that ``job_keys`` allows to insert; writes their rows there."""
    free, wanted = set(), []
    for run in runs:
        if run.key is None or run.hold_seconds == 0.0:
            free.add(run.id)
        else:
            wanted.append((run.kind, run.key, run.id, run.arguments_hash, run.hold_seconds))
    if wanted:
        dialect = dialect_of(session)
        free |= set(session.scalars(take_keys(dialect), {**TAKEN.rows(dialect, wanted), "now": now}))
    return free


def _holders(session: Executor, runs: Sequence[NewRun], now: datetime | None) -> dict[Key, _Holder]:
    """The holders of the keys of ``runs``: the live run, or else the one in ``job_keys``."""
    dialect = dialect_of(session)
    values = WANTED.rows(dialect, [(run.kind, run.key) for run in runs])
    live, kept = look_up_holders(dialect)
    holders: dict[Key, _Holder] = {}
    if any(run.hold_seconds != 0.0 for run in runs):
        for row in session.execute(kept, {**values, "now": now}):
            state = RunState(row.state) if row.state else None
            holders[(row.kind, row.key)] = _Holder(row.run_id, row.arguments_hash, state, row.queue or "", 0)
    for row in session.execute(live, values):
        holders[(row.kind, row.key)] = _Holder(row.id, row.arguments_hash, RunState(row.state), row.queue, row.priority)
    return holders


def _answer(session: Executor, run: NewRun, holder: _Holder, now: datetime | None) -> Admitted | None:
    """The result for ``run``, whose key is held; None if the holder has changed, to look again."""
    theirs = replace(run, id=holder.run_id, queue=holder.queue, priority=holder.priority)
    if run.on_conflict == "keep" or holder.state not in LIVE:
        if holder.arguments_hash != run.arguments_hash:
            _need_same_text(session, run, holder)
        return Admitted(theirs, created=False)
    if holder.state is RunState.QUEUED:
        if (
            session.scalar(
                rewrite_waiting(is_fair=is_fair(run)),
                {**new_values(replace(run, id=holder.run_id)), "holder": holder.run_id, "now": now},
            )
            is None
        ):
            return None
        replace_held(session, replace(run, id=holder.run_id), now=now)
        # The work of earlier attempts used the replaced arguments.
        session.execute(delete(JobStep).where(JobStep.run_id == holder.run_id))
        if run.hold_seconds != 0.0:
            _point(session, run, holder.run_id)
        return Admitted(theirs, created=False)
    if not succeed_with(session, holder.run_id, run, now=now):
        return None
    return Admitted(theirs, created=False)


def _need_same_text(session: Executor, run: NewRun, holder: _Holder) -> None:
    """Refuse a run whose arguments differ from the holder's.

    The hash of a call that was made without its class says nothing: then their JSON is compared.

    Raises:
        KeyConflict: they differ.
    """
    stored = None
    if any((one or "").startswith(PLAIN_HASH) for one in (holder.arguments_hash, run.arguments_hash)):
        stored = session.scalar(select(cast(JobRun.arguments, Text)).where(JobRun.id == holder.run_id))
    if stored is None or json.loads(stored) != json.loads(run.arguments):
        raise _conflict(run, holder.run_id)


def _point(session: Executor, run: NewRun, holder: UUID) -> None:
    """Let the row of a longer-held key name the run that has it."""
    session.execute(
        update(JobKey)
        .where(JobKey.kind == run.kind, JobKey.key == run.key)
        .values(run_id=holder, arguments_hash=run.arguments_hash)
    )


def _conflict(run: NewRun, holder: UUID) -> KeyConflict:
    return KeyConflict(
        f"The key {run.key!r} of {run.kind} is held by run {holder}, whose arguments differ.",
        key=str(run.key),
        run_id=str(holder),
        hint="Enqueue with on_conflict='replace', or use different keys for different arguments.",
    )
