"""Compares the arguments in the ledger with the job classes of this process, before its release is deployed.

It reads, and performs nothing. ``upcast`` and the validators of the job classes are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from jobs.app import App
from jobs.definition import registry
from jobs.definition.class_release import ClassRelease, read_release, release_of
from jobs.ledger.queries.class_releases import live_codes
from jobs.ledger.queries.pagination import tally
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.queries.stored_arguments import (
    StoredCall,
    followup_calls,
    part_counts,
    sampled_runs,
    schedule_calls,
)
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.deploys.fit import Fit, Misfit
from jobs.states import RunState

SAMPLE, LEAST_SAMPLE = 5_000, 500
"""Most and fewest runs checked of each kind, queue and state that has more. Source: decision."""
IN_ALL = 100_000
"""Runs checked in all, above which the samples are smaller. Source: decision; twice as many took this process 2.5 s of
processor time, and longer where others use the processors too."""
MAX_SCHEDULES = 10_000
PLACES = {RunState.QUEUED: "waiting", RunState.RUNNING: "running", RunState.DEAD: "dead"}
SCHEDULES, FOLLOWUPS = "schedules", "follow-ups"


class Result(StrEnum):
    """What this code can do with the calls of a kind in one place."""

    FITS = "fits"
    UPCAST = "fits by upcast"
    MISFIT = "does not fit"
    REMOVED = "kind removed"
    UNKNOWN = "kind unknown"
    ELSEWHERE = "another application"


BREAKS = frozenset({Result.MISFIT, Result.REMOVED, Result.UNKNOWN})


@dataclass(slots=True, kw_only=True)
class KindCompat:
    """The calls of a kind in one place: waiting, running or dead runs, schedules, or follow-ups.

    Attributes:
        number: how many there are; ``fit.checked`` of them were checked.
        sample: most runs checked of each queue and state; None if every run was.
        here: the release of the kind's class in this process; None if it does not know the kind.
        live: the releases that live workers have, each with the number of worker processes; None is a worker that
            reports none.
    """

    kind: str
    place: str
    number: int = 0
    sample: int | None = None
    fit: Fit = field(default_factory=Fit)
    result: Result = Result.FITS
    here: ClassRelease | None = None
    live: Mapping[ClassRelease | None, int] = field(default_factory=dict)

    @property
    def breaks(self) -> bool:
        """Whether something that waits would die with this code. A dead run does not wait for anything."""
        return self.result in BREAKS and self.place != PLACES[RunState.DEAD]

    @property
    def misfits(self) -> list[Misfit]:
        """The groups of calls that do not fit, the largest first."""
        return sorted(self.fit.misfits.values(), key=lambda one: -one.count)

    @property
    def is_sampled(self) -> bool:
        return self.here is not None and self.fit.checked < self.number


def compare(
    app: App,
    operator: Operator,
    *,
    kinds: Sequence[str] = (),
    sample: int | None = SAMPLE,
    in_all: int | None = IN_ALL,
) -> list[KindCompat]:
    """The kinds in the ledger whose names match ``kinds`` (``*`` and ``?``), those that break first.

    Args:
        sample: most runs checked of each kind, queue and state; None checks every run.
        in_all: most runs checked in all, unless there are so many kinds, queues and states that each gets the fewest;
            None does not bound them.

    Raises:
        Forbidden: the operator may not read runs.
    """
    operator.need(Permission.RUNS_READ)
    comparison = _Comparison(app, tuple(kinds), sample, in_all)
    comparison.read()
    return comparison.decided()


class _Comparison:
    """Fills one ``KindCompat`` for each kind and place."""

    def __init__(self, app: App, kinds: tuple[str, ...], sample: int | None, in_all: int | None) -> None:
        self._app = app
        self._kinds = kinds
        self._sample = sample
        self._in_all = in_all
        self._found: dict[tuple[str, str], KindCompat] = {}

    def read(self) -> None:
        states = tuple(str(state) for state in PLACES)
        with self._app.database.read() as connection:
            if self._kinds:
                counted = tally(connection, Selector(kinds=self._kinds, states=states))
            else:
                counted = {part: number for state in PLACES for part, number in part_counts(connection, state)}
        if self._sample is not None and self._in_all is not None and counted:
            self._sample = min(self._sample, max(LEAST_SAMPLE, self._in_all // len(counted)))
        for (state, queue, kind), number in sorted(counted.items()):
            self._of(kind, PLACES[RunState(state)]).number += number
            self._read_runs(RunState(state), queue, kind, number)
        with self._app.database.read() as connection:
            self._add(SCHEDULES, schedule_calls(connection, limit=MAX_SCHEDULES))

    def decided(self) -> list[KindCompat]:
        with self._app.database.read() as connection:
            workers = live_codes(connection)
        ours = set(registry.names())
        for one in self._found.values():
            serving = [codes for codes in workers if one.kind in codes]
            for codes in serving:
                release = read_release(codes[one.kind])
                one.live = {**one.live, release: one.live.get(release, 0) + 1}
            if one.here is None:
                # A worker that also serves a kind of this code has an earlier release of this application.
                is_ours = any(ours & codes.keys() for codes in serving)
                one.result = Result.REMOVED if is_ours else Result.ELSEWHERE if serving else Result.UNKNOWN
            elif one.fit.misfits:
                one.result = Result.MISFIT
            elif one.fit.by_upcast:
                one.result = Result.UPCAST
        return sorted(self._found.values(), key=lambda one: (not one.breaks, one.result not in BREAKS, one.kind))

    def _of(self, kind: str, place: str) -> KindCompat:
        one = self._found.get((kind, place))
        if one is None:
            cls = registry.find(kind)
            here = release_of(cls) if cls is not None else None
            one = KindCompat(kind=kind, place=place, sample=self._sample, here=here)
            self._found[kind, place] = one
        return one

    def _read_runs(self, state: RunState, queue: str, kind: str, number: int) -> None:
        cls, fit = registry.find(kind), self._of(kind, PLACES[state]).fit
        most = number if self._sample is None else self._sample
        if cls is None and state is RunState.DEAD:
            return
        with self._app.database.read() as connection:
            for page in sampled_runs(connection, (state, queue, kind), count=number, most=most):
                if cls is not None:
                    for run in page:
                        fit.check(
                            cls, kind, version=run.version, arguments=run.arguments, example=run.id,
                            since=run.created_at,
                        )  # fmt: skip
                owners = [run.id for run in page if run.has_followups]
                if owners and state is not RunState.DEAD:
                    self._add(FOLLOWUPS, followup_calls(connection, owners))

    def _add(self, place: str, calls: Sequence[StoredCall]) -> None:
        for call in calls:
            if self._kinds and not any(fnmatchcase(call.kind, pattern) for pattern in self._kinds):
                continue
            one, cls = self._of(call.kind, place), registry.find(call.kind)
            one.number += 1
            if cls is not None:
                one.fit.check(
                    cls, call.kind, version=call.version, arguments=call.arguments, example=call.owner,
                    since=call.created_at,
                )  # fmt: skip
