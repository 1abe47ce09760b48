"""Where runs and values are: history, and stored values."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.storage import History, StoredValue
from jobs.operations.control.history import history_status
from jobs.operations.stored.inspect import list_stored

router = APIRouter(prefix="/v1", route_class=Route, tags=["storage"])


@router.get("/history", summary="Show the state of history")
def read_history(app: Ledger, by: By) -> Envelope[History]:
    """Whether ended runs move, and each partition with its size. Numbers of runs are estimates."""
    return Envelope(data=History.model_validate(history_status(app, by)))


@router.get("/stored-values", summary="List stored values")
def list_values(app: Ledger, by: By, paging: Annotated[Paging, Query()]) -> Envelope[list[StoredValue]]:
    """The newest first; never their content."""
    found = list_stored(app, by, before=paging.after_id, limit=paging.more)
    return page(found, paging, StoredValue.model_validate, place=lambda one: one.id)
