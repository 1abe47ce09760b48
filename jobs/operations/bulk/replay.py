"""Replay: reopens dead and cancelled runs with a fresh budget; other runs, or other arguments, make a new run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.enqueue.publish import entries_of
from jobs.errors import SelectorRefused
from jobs.formats.duration import format_duration
from jobs.formats.stored_reference import blobs_in
from jobs.ledger.admission.insert import insert_free
from jobs.ledger.blobs.references import hold_possible
from jobs.ledger.effects.resolutions import copy_steps_before, forget_steps_from, runs_with_step, unknown_effects
from jobs.ledger.effects.signals import forget_signals
from jobs.ledger.effects.steps import forget_steps
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import Version, key_holders
from jobs.ledger.queries import find
from jobs.ledger.records import NewRun
from jobs.ledger.resealing import reseal as reseal_of_ledger
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs.move import arguments_text, move
from jobs.ledger.runs.replay import REPLAYABLE, reopen
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk.argument_changes import UNREADABLE, changed_arguments, inner
from jobs.operations.bulk.batches import BatchResult
from jobs.priority import MAX_PRIORITY, MIN_PRIORITY
from jobs.ready.protocol import ReadyEntry
from jobs.sealing.rotation import reseal
from jobs.sealing.values import masked
from jobs.states import LIVE, Cause, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayAction:
    """Replay runs. ``changes`` are arguments to set: ``field`` or ``field.inner`` to a JSON value.

    Without changes a dead or cancelled run is reopened and keeps its id. With changes, and for a succeeded run, a new
    run is made that refers to the old one, which does not change. The job's class checks the arguments.

    ``from_step`` keeps the results of the steps that began before it, also for a new run, and does the rest again.
    """

    app: App
    operator: Operator
    changes: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    delay_seconds: float | None = None
    reset_steps: bool = False
    from_step: str | None = None

    verb = "replay"
    permission = Permission.RUNS_REPLAY
    states = (RunState.DEAD.value,)
    purged = False

    def __post_init__(self) -> None:
        if self.priority is not None and not MIN_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise SelectorRefused(f"--priority goes from {MIN_PRIORITY} to {MAX_PRIORITY}, not {self.priority}.")
        if self.reset_steps and self.from_step is not None:
            raise SelectorRefused("Steps are reset, or kept up to one of them, not both.")

    def options(self) -> dict[str, Any]:
        said = {
            # Values may be personal, so only the new run has them.
            "set": sorted(self.changes) or None,
            "queue": self.queue,
            "priority": self.priority,
            "in_seconds": self.delay_seconds,
            "steps": "reset" if self.reset_steps else None,
            "from_step": self.from_step,
        }
        return {name: value for name, value in said.items() if value is not None}

    def refusals(self, session: Executor, before: dict[UUID, Version]) -> dict[UUID, str]:
        refused = self._refusals(session, before)
        if self.changes:
            left = [run_id for run_id in before if run_id not in refused]
            found, texts = find.find_runs(session, left), arguments_text(session, left)
            for run_id in left:
                try:
                    self._arguments(found[run_id], texts[run_id], run_id)
                except UNREADABLE as error:
                    refused[run_id] = error.message[:200]
        return refused

    def _refusals(self, session: Executor, before: dict[UUID, Version]) -> dict[UUID, str]:
        """The refusals that do not depend on arguments."""
        refused: dict[UUID, str] = {}
        holders = key_holders(session, list(before))
        for run_id, version in before.items():
            if version["deleted_at"] is not None:
                refused[run_id] = "it is purged: restore it first"
            elif version["state"] in LIVE:
                refused[run_id] = f"it is {version['state']}"
            elif run_id in holders:
                refused[run_id] = f"its key is held by {str(holders[run_id])[-8:]}"
        return refused | self._refusals_of_steps(session, {one: before[one] for one in before if one not in refused})

    def _refusals_of_steps(self, session: Executor, before: Mapping[UUID, Version]) -> dict[UUID, str]:
        refused: dict[UUID, str] = {}
        if self.from_step is not None:
            having = runs_with_step(session, list(before), self.from_step)
            refused |= {run_id: f"it has no step {self.from_step!r}"[:200] for run_id in before if run_id not in having}
        if self.reset_steps or self.changes:
            return refused
        died = [run_id for run_id, version in before.items() if version["cause"] == Cause.UNKNOWN_EFFECT]
        for step in unknown_effects(session, died, before=self.from_step) if died else ():
            # It would die again at its next attempt.
            why = f"it is unknown whether its step {step.name!r} took place; record it with effects resolve"
            refused.setdefault(step.run_id, why[:200])
        return refused

    def changes_to(self, run: RunRecord) -> list[tuple[str, object, object]]:
        if run.state in REPLAYABLE and not self.changes:
            changed: list[tuple[str, object, object]] = [
                ("state", run.state.value, RunState.QUEUED.value),
                ("charged attempts", f"{run.charged} of {run.max_attempts}", f"0 of {run.max_attempts}"),
            ]
        else:
            changed = [("run", "stays as it is", "a new run that names it")]
        given = run.arguments if isinstance(run.arguments, dict) else {}
        changed += [(f"argument {path}", masked(inner(given, path)), value) for path, value in self.changes.items()]
        if self.queue is not None:
            changed.append(("queue", run.queue, self.queue))
        if self.priority is not None:
            changed.append(("priority", run.priority, self.priority))
        if self.delay_seconds is not None:
            changed.append(("due", run.run_at, f"in {format_duration(timedelta(seconds=self.delay_seconds))}"))
        if self.reset_steps:
            changed.append(("steps", "kept", "done again"))
        if self.from_step is not None:
            changed.append(("steps", "kept", f"done again from {self.from_step} on"))
        return changed

    def apply(self, session: Executor, before: dict[UUID, Version]) -> BatchResult:
        step = BatchResult()
        reopened, anew = [], []
        refused = self._refusals(session, before)
        for run_id, version in before.items():
            if run_id in refused:
                step.notes.append(AuditEntry(run_id, skipped=refused[run_id]))
            elif version["state"] in REPLAYABLE and not self.changes:
                reopened.append(run_id)
            else:
                anew.append(run_id)
        self._reopen(session, reopened, step)
        if anew:
            self._make_new(session, anew, step, set(before))
        return step

    def _reopen(self, session: Executor, run_ids: list[UUID], step: BatchResult) -> None:
        if not run_ids:
            return
        # A batch that is open again enqueues its callbacks anew.
        resealing = reseal_of_ledger.set(partial(reseal, self.app))
        try:
            freed = reopen(session, run_ids)
        finally:
            reseal_of_ledger.reset(resealing)
        moved = {one.run_id for one in freed}
        if self.reset_steps:
            forget_steps(session, sorted(moved))
            forget_signals(session, sorted(moved))
        if self.from_step is not None:
            forget_steps_from(session, sorted(moved), self.from_step)
        if moved and (self.queue is not None or self.priority is not None or self.delay_seconds is not None):
            freed = move(
                session,
                sorted(moved),
                queue=self.queue,
                priority=self.priority,
                delay_seconds=self.delay_seconds,
            )
        step.ready += entries_of(freed)
        left = [run_id for run_id in run_ids if run_id not in moved]
        holders = key_holders(session, left) if left else {}
        for run_id in run_ids:
            if run_id in moved:
                step.notes.append(AuditEntry(run_id))
            else:
                holder = holders.get(run_id)
                why = f"its key is held by {str(holder)[-8:]}" if holder else "it has moved meanwhile"
                step.notes.append(AuditEntry(run_id, skipped=why))

    def _make_new(self, session: Executor, run_ids: list[UUID], step: BatchResult, before: set[UUID]) -> None:
        found, texts = find.find_runs(session, run_ids), arguments_text(session, run_ids)
        fresh: list[NewRun] = []
        for run_id in run_ids:
            try:
                new = self._new_run(found[run_id], texts[run_id])
            except UNREADABLE as error:
                step.notes.append(AuditEntry(run_id, skipped=error.message[:200]))
                continue
            fresh.append(new)
            step.notes.append(AuditEntry(run_id, new_run_id=new.id))
            step.ready.append(ReadyEntry(new.id, new.queue, new.priority, None))
        without_values = hold_possible(session, fresh)
        fresh = [new for new in fresh if new.id not in without_values]
        made = insert_free(session, fresh)
        # Another transaction took a key between our look and our write.
        step.notes = [
            AuditEntry(one.run_id, skipped="a stored value of it was removed")
            if one.new_run_id in without_values
            else AuditEntry(one.run_id, skipped="its key is held by another run")
            if one.new_run_id is not None and one.new_run_id not in made
            else one
            for one in step.notes
        ]
        step.ready = [one for one in step.ready if one.run_id in made or one.run_id in before]
        for new in fresh:
            if self.from_step is not None and new.id in made and new.replayed_from is not None:
                copy_steps_before(session, new.replayed_from, new.id, self.from_step)

    def _new_run(self, old: RunRecord, text: str) -> NewRun:
        run_id = new_run_id()
        arguments = self._arguments(old, text, run_id)
        return NewRun(
            id=run_id,
            kind=old.kind,
            queue=self.queue or old.queue,
            priority=old.priority if self.priority is None else self.priority,
            arguments=arguments,
            blobs=blobs_in(arguments),
            arguments_version=old.arguments_version,
            max_attempts=old.max_attempts,
            delay_seconds=self.delay_seconds or 0.0,
            tags=json.dumps(old.tags, ensure_ascii=False) if old.tags else None,
            correlation_id=old.correlation_id,
            enqueued_by=self.operator.name,
            parent_id=old.parent_id,
            root_id=old.root_id,
            replayed_from=old.id,
            key=old.key,
        )

    def _arguments(self, old: RunRecord, text: str, new_id: UUID) -> str:
        """The arguments of the new run as the ledger stores them: what is sealed is sealed again for its id."""
        if not self.changes:
            return reseal(self.app, text, old.id, new_id)
        return changed_arguments(self.app, old, text, new_id, self.changes)
