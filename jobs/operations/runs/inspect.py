"""Lists runs, finds one with its attempts, and reports the status of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.errors import JobsError, SelectorRefused
from jobs.ledger import workers
from jobs.ledger.queries import find, reports
from jobs.ledger.queries.pagination import Place, newest, place_of
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.sealing.values import masked
from jobs.states import RunState
from jobs.storage.packing import in_clear

MAX_SHOWN = 2**18
"""Bytes of a value in a store that are read to show one run. Source: decision; what a row holds by default."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, latest first by when they entered their state; ``next_cursor`` requests the next page."""

    runs: list[RunRecord]
    next_cursor: str | None


def list_runs(
    app: App, operator: Operator, selector: Selector, *, limit: int = 50, cursor: str | None = None
) -> RunPage:
    """A page of the matching runs; an empty selector lists all.

    Raises:
        SelectorRefused: ``cursor`` is not one of ours.
    """
    operator.need(Permission.RUNS_READ)
    check_words(selector, operator)
    after = read_cursor(cursor) if cursor else None
    with app.database.read_both() as connection:
        found = newest(connection, selector, after=after, limit=limit + 1)
    runs = [shown(run, operator) for run in found[:limit]]
    return RunPage(runs, write_cursor(place_of(found[limit - 1])) if len(found) > limit else None)


def find_run(app: App, operator: Operator, text: str) -> tuple[RunRecord, list[AttemptRecord]]:
    """The run that ``text`` identifies, and its attempts.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        run = find.find_named(connection, text)
        attempts = find.list_attempts(connection, run.id)
    return shown_whole(app, run, operator), shown_attempts(attempts, operator)


def look_at(app: App, operator: Operator, text: str) -> RunRecord:
    """The run that ``text`` identifies, alone.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        run = find.find_named(connection, text)
    return shown_whole(app, run, operator)


def id_of(app: App, operator: Operator, text: str) -> UUID:
    """The id of the run that ``text`` identifies.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return find.resolve_id(connection, text)


def related(app: App, operator: Operator, run_id: UUID, *, limit: int = 20) -> list[RunRecord]:
    """The runs that this one enqueued."""
    return list_runs(app, operator, Selector(parents=(run_id,)), limit=limit).runs


MOST_QUEUES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The ledger at a glance: waiting runs, problems, and workers."""

    queues: list[reports.QueueCount]
    workers: list[workers.WorkerRecord]
    groups: list[reports.DeadGroup]
    ended_in_5m: dict[RunState, int]

    def total(self, name: str) -> int:
        return sum(getattr(queue, name) for queue in self.queues)

    @property
    def shown_queues(self) -> list[reports.QueueCount]:
        """The thousand queues that most need attention, by name: callers may have made up any number of names."""
        served = {queue for worker in self.workers for queue in worker.queues}
        worst = reports.worst_first(self.queues, served=served)[:MOST_QUEUES]
        return sorted(worst, key=lambda one: one.queue)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest ready run of a queue that is not paused has waited."""
        return max((queue.oldest_seconds or 0.0 for queue in self.queues if not queue.is_paused), default=0.0)


def status(app: App, operator: Operator, *, groups: int = 5) -> Status:
    """The current status."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return Status(
            queues=reports.queue_counts(connection),
            workers=workers.live(connection),
            groups=[_shown_group(one, operator) for one in reports.dead_groups(connection, limit=groups)],
            ended_in_5m=reports.ended_since(connection, app.clock.now() - timedelta(minutes=5)),
        )


def state_word(run: RunRecord, *, now: datetime) -> str:
    """``ready``, ``scheduled``, ``retrying``, ``parked`` or ``waiting`` for a queued run; else its state."""
    if run.state is not RunState.QUEUED:
        return run.state.value
    if is_on_hold(run, now=now):
        return str(run.hold)
    if run.run_at <= now:
        return "ready"
    return "retrying" if run.attempt else "scheduled"


def is_on_hold(run: RunRecord, *, now: datetime) -> bool:
    """Whether it is held back: nobody has ended its hold, and time has not either."""
    return run.hold is not None and (run.held_until is None or run.held_until > now)


def write_cursor(place: Place) -> str:
    moment, run_id = place
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{microseconds:x}-{run_id.hex}"


def read_cursor(text: str) -> Place:
    """The position where a list continues.

    Raises:
        SelectorRefused: it is not one of our cursors.
    """
    head, _, tail = text.partition("-")
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(head, 16)), UUID(tail)
    except (ValueError, OverflowError):
        raise SelectorRefused(f"{text!r} is not a cursor.", hint="Take it from the end of the last page.") from None


def shown(run: RunRecord, operator: Operator) -> RunRecord:
    """The run as this operator may see it."""
    if operator.may(Permission.ARGUMENTS_READ):
        arguments, result = masked(run.arguments), masked(run.result)
        is_clear = arguments is run.arguments and result is run.result
        return run if is_clear else replace(run, arguments=arguments, result=result)
    said = None if run.error_message is None else HIDDEN
    return replace(
        run,
        arguments=HIDDEN,
        result=HIDDEN,
        progress=HIDDEN,
        error_message=said,
        # After # comes the digest of a limit's key, which is the value of an argument.
        held_on=None if run.held_on is None else run.held_on.partition("#")[0],
        # These contain the same data as the arguments: an address, an order's number.
        key=None if run.key is None else HIDDEN,
        cancel_reason=None if run.cancel_reason is None else HIDDEN,
        tags=[HIDDEN] if run.tags else run.tags,
    )


def shown_whole(app: App, run: RunRecord, operator: Operator) -> RunRecord:
    """``shown``, with what went to the store by itself: values of up to ``MAX_SHOWN``, as far as they can be read. The
    others, and those in lists of runs, are shown as references.
    """
    if operator.may(Permission.ARGUMENTS_READ):
        with suppress(JobsError):
            run = in_clear(app, run, max_bytes=MAX_SHOWN)
    return shown(run, operator)


def shown_attempts(attempts: Sequence[AttemptRecord], operator: Operator) -> list[AttemptRecord]:
    """The attempts as this operator may see them: the texts of errors may contain personal data."""
    if operator.may(Permission.ARGUMENTS_READ):
        return list(attempts)
    return [
        replace(one, error_message=HIDDEN, traceback=HIDDEN) if one.error_message or one.traceback else one
        for one in attempts
    ]


def _shown_group(group: reports.DeadGroup, operator: Operator) -> reports.DeadGroup:
    if operator.may(Permission.ARGUMENTS_READ) or group.error_message is None:
        return group
    return replace(group, error_message=HIDDEN)


def check_words(selector: Selector, operator: Operator) -> None:
    """Refuse to search for data that the operator may not see: a list by an argument reveals the argument.

    Raises:
        Forbidden: it selects by arguments, by errors' messages, by keys or by tags.
    """
    if selector.arguments or selector.errors or selector.keys or selector.tags:
        operator.need(Permission.ARGUMENTS_READ)


def changed(
    earlier: Sequence[tuple[str, object]], later: Sequence[tuple[str, object]]
) -> list[tuple[str, object, object]]:
    """The names whose values differ, with both values."""
    old, new = dict(earlier), dict(later)
    names = list(dict.fromkeys([*old, *new]))
    return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]
