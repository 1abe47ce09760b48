"""Runs: list, show and enqueue them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.error_responses import ANSWERS
from admin_api.http.paging import Paging, page, whole, write_cursor
from admin_api.http.route import Route
from admin_api.http.run_query import RunQuery
from admin_api.http.state import ApiState, CurrentState, Ledger
from admin_api.shapes.actions import Action
from admin_api.shapes.base import Because, Count
from admin_api.shapes.runs import (
    Attempt,
    Enqueued,
    FollowUp,
    Lineage,
    LogLine,
    NewBulkRun,
    NewFollowUp,
    NewRun,
    NewRuns,
    NewSignal,
    Run,
    SentSignal,
    Signal,
    Step,
    Why,
)
from admin_api.shapes.seals import OpenedRun
from jobs.app import App
from jobs.operations.audit import actions
from jobs.operations.audit.operator import Operator
from jobs.operations.audit.progress import state_of
from jobs.operations.runs import detail, inspect
from jobs.operations.runs import signal as signals
from jobs.operations.runs.enqueue import enqueue_run
from jobs.operations.runs.enqueue_bulk import RunCall, enqueue_bulk
from jobs.operations.runs.explain import explain
from jobs.operations.runs.logs import log_of
from jobs.operations.runs.selector import make_selector
from jobs.operations.seals import opening

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)
Asked = Annotated[RunQuery, Query()]
Pages = Annotated[Paging, Query()]
MISSED: dict[int | str, dict[str, Any]] = {status: ANSWERS[status] for status in (404, 409)}
"""Errors of a list that names a run: the run does not exist, or its short id is ambiguous."""


@router.get("", summary="List runs", responses=MISSED)
def list_runs(api_state: CurrentState, by: By, query: Asked) -> Envelope[list[Run]]:
    """The matching runs, or all; the latest change of state comes first. `where` is the command line's query."""
    return runs_page(api_state, by, query)


@router.post("", summary="Record a run", status_code=201, responses={200: {"model": Envelope[Enqueued]}})
def create_run(app: Ledger, by: By, body: NewRun, response: Response) -> Envelope[Enqueued]:
    """201 if the run is new; 200 with the existing run if a run with the same arguments holds the key."""
    made = enqueue_run(app, by, body.kind, body.arguments, reason=body.reason, **_options(body))
    response.status_code = 201 if made.created else 200
    response.headers["Location"] = f"/v1/runs/{made.id}"
    return Envelope(data=Enqueued.model_validate(made))


@router.post("/bulk", summary="Record many runs", status_code=201)
def create_runs(app: Ledger, by: By, body: NewRuns) -> Envelope[list[Enqueued]]:
    """Up to 1,000 runs in one transaction: all, or none. The response has their order.

    `created` is false for a run whose key another run with the same arguments holds. A kind that this server does not
    know is taken from what workers published; the worker checks the rest of its arguments.
    """
    calls = [
        RunCall(one.kind, one.arguments, _options(one), *map(_calls, (one.on_success, one.on_dead, one.on_cancelled)))
        for one in body.runs
    ]
    made = enqueue_bulk(app, by, calls, reason=body.reason)
    return Envelope(data=[Enqueued.model_validate(one) for one in made])


@router.get("/{id}", summary="Show a run")
def read_run(app: Ledger, by: By, id: str) -> Envelope[Run]:
    """`id` is the full id, its last eight characters, or any unique start or end of it."""
    return Envelope(data=Run.of(inspect.look_at(app, by, id), app.clock.now()))


@router.post("/{id}/openings", summary="Open a run's sealed values")
def open_run(app: Ledger, by: By, id: str, body: Because) -> Envelope[OpenedRun]:
    """Its arguments and result in clear. Each opening is on record. This server needs the keys."""
    return Envelope(data=OpenedRun.model_validate(opening.open_run(app, by, id, reason=body.reason)))


@router.get("/{id}/attempts", summary="List a run's attempts")
def list_attempts(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[Attempt]]:
    """The latest first."""
    run_id = inspect.id_of(app, by, id)
    found = detail.attempts_of(app, by, run_id, after=paging.after_number, limit=paging.more)
    return page(found.items, paging, Attempt.model_validate, place=lambda one: one.attempt)


@router.get("/{id}/logs", summary="List the log lines of an attempt")
def list_log_lines(
    app: Ledger,
    by: By,
    id: str,
    paging: Pages,
    attempt: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Unset: the latest that has a log.")] = None,
) -> Envelope[list[LogLine]]:
    """In the order in which they came; `meta` says how many there were and how many are not kept.

    `meta.is_open` says that the attempt still performs: ask again with `meta.next_cursor` for the lines that came
    since. Workers write them every two seconds.
    """
    after = paging.after_number or 0
    found = log_of(app, by, id, attempt=attempt, after=after, limit=paging.more)
    numbers = [one.number for one in found.lines[: paging.limit]]
    meta = {
        "attempt": found.attempt,
        "line_count": found.line_count,
        "left_out": found.left_out,
        "is_open": found.is_open,
        "next_cursor": write_cursor(numbers[-1] if numbers else after),
    }
    return page(found.lines, paging, LogLine.model_validate, place=lambda one: one.number, **meta)


@router.get("/{id}/steps", summary="List a run's steps")
def list_steps(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[Step]]:
    """Steps and cursors, in the order of their start."""
    run_id = inspect.id_of(app, by, id)
    found = detail.steps_of(app, by, run_id, after=paging.after_text, limit=paging.more)
    return page(found.items, paging, Step.model_validate, place=lambda one: one.name)


@router.get("/{id}/children", summary="List the runs that a run enqueued")
def list_children(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[Run]]:
    """First to last."""
    run_id = inspect.id_of(app, by, id)
    now = app.clock.now()
    found = detail.children_of(app, by, run_id, after=paging.after_id, limit=paging.more)
    return page(found.items, paging, lambda one: Run.of(one, now), place=lambda one: one.id)


@router.get("/{id}/signals", summary="List a run's signals")
def list_signals(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[Signal]]:
    """By name."""
    run_id = inspect.id_of(app, by, id)
    found = signals.signals_of(app, by, run_id, after=paging.after_text, limit=paging.more)
    return page(found.items, paging, Signal.model_validate, place=lambda one: one.name)


@router.post("/{id}/signals", summary="Send a signal to a run", status_code=201)
def create_signal(app: Ledger, by: By, id: str, body: NewSignal, response: Response) -> Envelope[SentSignal]:
    """201 if this is the first signal of the name; 200 if the run has one, which stays. 409: the run has ended."""
    sent = signals.signal_run(app, by, id, body.name, body.payload, reason=body.reason)
    response.status_code = 201 if sent.is_first else 200
    return Envelope(data=SentSignal.model_validate(sent))


@router.get("/{id}/replays", summary="List the new runs that replayed a run")
def list_replays(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[Run]]:
    """First to last. A reopened run keeps its id, and is not in this list."""
    run_id = inspect.id_of(app, by, id)
    now = app.clock.now()
    found = detail.replays_of(app, by, run_id, after=paging.after_id, limit=paging.more)
    return page(found.items, paging, lambda one: Run.of(one, now), place=lambda one: one.id)


@router.get("/{id}/followups", summary="List the follow-ups of a run")
def list_followups(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[FollowUp]]:
    """Runs that its end enqueues, or has enqueued."""
    run_id = inspect.id_of(app, by, id)
    found = detail.followups_of(app, by, run_id, after=paging.after_id, limit=paging.more)
    return page(found.items, paging, FollowUp.model_validate, place=lambda one: one["id"])


@router.get("/{id}/lineage", summary="Show the lineage of a run")
def read_lineage(app: Ledger, by: By, id: str) -> Envelope[Lineage]:
    """Its ancestors, and the first twenty children and replays."""
    return Envelope(data=Lineage.of(detail.detail(app, by, id), app.clock.now()))


@router.get("/{id}/explanation", summary="Explain the state of a run")
def read_explanation(app: Ledger, by: By, id: str) -> Envelope[Why]:
    """One sentence, with the facts from the ledger."""
    return Envelope(data=Why.of(explain(app, by, id)))


@router.get("/{id}/audit-entries", summary="List what operators did to a run")
def list_actions(app: Ledger, by: By, id: str, paging: Pages) -> Envelope[list[Action]]:
    """The latest first."""
    found = actions.list_actions(app, by, run=id, before=paging.after_id, limit=paging.more)
    now = app.clock.now()
    return page(found, paging, lambda one: Action.of(one, state_of(one, now)), place=lambda one: one["id"])


def runs_page(api_state: ApiState, by: Operator, query: RunQuery, **more: Any) -> Envelope[list[Run]]:
    """A page of runs; ``more`` are filters that the route adds."""
    app: App = api_state.app
    selector = make_selector(app, replace(query.asked(), **more))
    found = inspect.list_runs(app, by, selector, limit=query.limit, cursor=query.cursor)
    now = app.clock.now()
    meta = {"count": Count.of(api_state.reports.count(by, selector)).model_dump()} if query.count else {}
    return whole([Run.of(one, now) for one in found.runs], query, found.next_cursor, **meta)


def _calls(many: Sequence[NewFollowUp]) -> list[RunCall]:
    return [RunCall(one.kind, one.arguments) for one in many]


def _options(body: NewRun | NewBulkRun) -> dict[str, object]:
    return {
        "queue": body.queue,
        "priority": body.priority,
        "delay": None if body.delay_seconds is None else timedelta(seconds=body.delay_seconds),
        "at": body.at,
        "key": body.key,
        "on_conflict": body.on_conflict,
        "expires": None if body.expires_seconds is None else timedelta(seconds=body.expires_seconds),
        "tags": body.tags,
    }
