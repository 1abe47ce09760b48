"""Batches: lists them, and shows one with its members. Cancellations and replays take `batch` in their selector."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.batches import Batch
from jobs.operations.runs import batches as service

router = APIRouter(prefix="/v1/batches", tags=["batches"], route_class=Route)


class BatchQuery(Paging):
    running: bool = False


@router.get("", summary="List batches")
def list_batches(app: Ledger, by: By, query: Annotated[BatchQuery, Query()]) -> Envelope[list[Batch]]:
    """Those that are inside no other, the latest first; `running`: only those that have not ended."""
    found = service.list_batches(app, by, before=query.after_id, is_running=query.running, limit=query.more)
    return page(found.items, query, Batch.model_validate, place=lambda one: one.id)


@router.get("/{id}", summary="Show a batch")
def read_batch(app: Ledger, by: By, id: str) -> Envelope[Batch]:
    """`id` is the full id, or any unique start or end of it. Its members: `GET /v1/runs?batch=ID`."""
    return Envelope(data=Batch.model_validate(service.show_batch(app, by, id).batch))


@router.get("/{id}/batches", summary="List the batches inside a batch")
def list_inner_batches(app: Ledger, by: By, id: str, query: Annotated[Paging, Query()]) -> Envelope[list[Batch]]:
    """The latest first."""
    inside = service.show_batch(app, by, id).batch.id
    found = service.list_batches(app, by, before=query.after_id, inside=inside, limit=query.more)
    return page(found.items, query, Batch.model_validate, place=lambda one: one.id)
