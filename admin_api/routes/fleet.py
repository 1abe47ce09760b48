"""Queues, kinds and workers: list and show them, pause and resume them, and stop a worker."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import CurrentState, Ledger
from admin_api.shapes.base import Because
from admin_api.shapes.fleet import (
    Kind,
    KindDetail,
    NewPause,
    NewRetention,
    NewWaitingLimit,
    Pause,
    Queue,
    Retention,
    WaitingLimit,
    Worker,
    WorkerStop,
)
from jobs.operations.control import pause, retention, waiting_limits, workers
from jobs.operations.insight import kinds
from jobs.operations.insight.queues import retention_summaries

router = APIRouter(prefix="/v1", route_class=Route)
Pages = Annotated[Paging, Query()]
QUEUES: list[str | Enum] = ["queues"]
KINDS: list[str | Enum] = ["kinds"]
WORKERS: list[str | Enum] = ["workers"]


@router.get("/queues", summary="List queues", tags=QUEUES)
def list_queues(api_state: CurrentState, by: By, paging: Pages) -> Envelope[list[Queue]]:
    """Every queue that has runs, has workers or is paused, sorted by name."""
    found = [one for one in api_state.reports.queues(by) if one.name > (paging.after_text or "")]
    return page(found, paging, Queue.of, place=lambda one: one.name)


@router.get("/queues/{name}", summary="Show a queue", tags=QUEUES)
def read_queue(api_state: CurrentState, by: By, name: str) -> Envelope[Queue]:
    return Envelope(data=Queue.of(api_state.reports.queue(by, name)))


@router.put("/queues/{name}/pause", summary="Pause a queue", tags=QUEUES)
def pause_queue(app: Ledger, by: By, name: str, body: NewPause) -> Envelope[Pause]:
    """Workers start none of its runs; running ones continue."""
    return Envelope(data=_pause(app, by, "queue", name, body))


@router.delete("/queues/{name}/pause", summary="Resume a queue", status_code=204, tags=QUEUES)
def resume_queue(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """409 if it is not paused."""
    pause.resume(app, by, "queue", name, reason=because.reason)
    return Response(status_code=204)


@router.put("/queues/{name}/waiting-limit", summary="Limit a queue's waiting runs", tags=QUEUES)
def limit_waiting(app: Ledger, by: By, name: str, body: NewWaitingLimit) -> Envelope[WaitingLimit]:
    """Processes that enqueue follow it within five seconds."""
    most = waiting_limits.limit_waiting(app, by, name, most=body.max_waiting, reason=body.reason, is_new=body.is_new)
    return Envelope(data=WaitingLimit(max_waiting=most))


@router.delete(
    "/queues/{name}/waiting-limit", summary="Clear a queue's limit of waiting runs", status_code=204, tags=QUEUES
)
def clear_waiting_limit(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """409 if no limit is set."""
    waiting_limits.clear_waiting_limit(app, by, name, reason=because.reason)
    return Response(status_code=204)


@router.put("/queues/{name}/retention", summary="Set how long a queue's ended runs are kept", tags=QUEUES)
def retain(app: Ledger, by: By, name: str, body: NewRetention) -> Envelope[list[Retention]]:
    """The pruner follows at its next turn; what it has deleted does not come back.

    It wins over `retain=` of classes and over JOBS_RETAIN_SUCCEEDED and the like, until it is cleared.
    """
    kept = retention.retain_queue(app, by, name, body.times, reason=body.reason, is_new=body.is_new)
    return Envelope(data=[Retention.model_validate(one) for one in retention_summaries(app, kept)])


@router.delete("/queues/{name}/retention", summary="Clear a queue's retention", status_code=204, tags=QUEUES)
def clear_retention(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """409 if none is set."""
    retention.clear_retention(app, by, name, reason=because.reason)
    return Response(status_code=204)


@router.get("/kinds", summary="List kinds", tags=KINDS)
def list_kinds(api_state: CurrentState, by: By, paging: Pages) -> Envelope[list[Kind]]:
    """Every kind that this process, a run, a live worker or a pause knows, by name; with its arguments' schema."""
    known = api_state.reports.kind_names(by)
    found = kinds.list_kinds(api_state.app, by, after=paging.after_text or "", limit=paging.more, known=known)
    return page(found, paging, Kind.of, place=lambda one: one.name)


@router.get("/kinds/{name}", summary="Show a kind", tags=KINDS)
def read_kind(api_state: CurrentState, by: By, name: str) -> Envelope[KindDetail]:
    return Envelope(data=KindDetail.whole(api_state.reports.kind(by, name)))


@router.put("/kinds/{name}/pause", summary="Pause a kind", tags=KINDS)
def pause_kind(app: Ledger, by: By, name: str, body: NewPause) -> Envelope[Pause]:
    """Workers start none of its runs; running ones continue."""
    return Envelope(data=_pause(app, by, "kind", name, body))


@router.delete("/kinds/{name}/pause", summary="Resume a kind", status_code=204, tags=KINDS)
def resume_kind(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """409 if it is not paused."""
    pause.resume(app, by, "kind", name, reason=because.reason)
    return Response(status_code=204)


@router.get("/workers", summary="List workers", tags=WORKERS)
def list_workers(app: Ledger, by: By, paging: Pages) -> Envelope[list[Worker]]:
    """Live worker processes, sorted by name."""
    live = sorted(workers.list_workers(app, by), key=lambda one: one.name)
    found = [one for one in live if one.name > (paging.after_text or "")]
    return page(found, paging, Worker.model_validate, place=lambda one: one.name)


@router.post("/workers/stops", summary="Stop a worker", status_code=202, tags=WORKERS)
def stop_worker(app: Ledger, by: By, body: WorkerStop) -> Envelope[Worker]:
    """The process finishes its runs and ends; its supervisor starts another."""
    return Envelope(data=Worker.model_validate(workers.stop_worker(app, by, body.name, reason=body.reason)))


@router.get("/workers/{name:path}", summary="Show a worker", tags=WORKERS)
def read_worker(app: Ledger, by: By, name: str) -> Envelope[Worker]:
    """`name` may have slashes, plain or as `%2F`, or be a unique start of the name."""
    return Envelope(data=Worker.model_validate(workers.find_worker(app, by, name)))


def _pause(app: Ledger, by: By, what: str, name: str, body: NewPause) -> Pause:
    span = None if body.for_seconds is None else timedelta(seconds=body.for_seconds)
    made = pause.pause(app, by, what, name, reason=body.reason, span=span, is_new=body.is_new)
    return Pause.model_validate(made)
