"""Lists the effects of runs, above all those that are unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.ledger.effects import resolutions
from jobs.ledger.effects.steps import StepRecord
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import list_runs
from jobs.sealing.values import masked
from jobs.states import Cause, RunState

MAX_EFFECTS = 10_000
"""Most effects in one answer. Source: decision; a page has at most 1,000 runs."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect of a run, and the run."""

    run: RunRecord
    step: StepRecord

    @property
    def is_unknown(self) -> bool:
        """Whether it began and has no end. While its run is performed, it may be under way."""
        return self.step.finished_at is None

    @property
    def word(self) -> Literal["done", "unknown", "under way"]:
        """``done``, ``under way`` or ``unknown``."""
        if not self.is_unknown:
            return "done"
        return "under way" if self.run.state is RunState.RUNNING else "unknown"


@dataclass(frozen=True, slots=True)
class EffectPage:
    """The effects of a page of runs, the latest runs first; ``next_cursor`` requests the next page."""

    effects: list[Effect]
    next_cursor: str | None


def list_effects(
    app: App, operator: Operator, selector: Selector, *, only_unknown: bool, limit: int = 50, cursor: str | None = None
) -> EffectPage:
    """The effects of the matching runs, ``limit`` runs at a time.

    With ``only_unknown`` and a selector without state and cause: those of the runs that died as ``unknown_effect``.

    Raises:
        SelectorRefused: ``cursor`` is not one of ours.
    """
    operator.need(Permission.RUNS_READ)
    if only_unknown and not (selector.states or selector.causes or selector.ids):
        selector = replace(selector, states=(RunState.DEAD.value,), causes=(Cause.UNKNOWN_EFFECT.value,))
    page = list_runs(app, operator, selector, limit=limit, cursor=cursor)
    ids = [run.id for run in page.runs]
    with app.database.read() as connection:
        if only_unknown:
            steps = resolutions.unknown_effects(connection, ids)
        else:
            steps = resolutions.list_effects(connection, ids, limit=MAX_EFFECTS)
    if not operator.may(Permission.ARGUMENTS_READ):
        steps = [replace(one, result=HIDDEN) for one in steps]
    else:
        steps = [replace(one, result=masked(one.result)) for one in steps]
    of_run = {run.id: [step for step in steps if step.run_id == run.id] for run in page.runs}
    return EffectPage([Effect(run, step) for run in page.runs for step in of_run[run.id]], page.next_cursor)
