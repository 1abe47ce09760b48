"""Dead letters, as a list and in groups; and errors in groups."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.run_query import RunQuery
from admin_api.http.state import ApiState, CurrentState
from admin_api.routes.runs import MISSED, runs_page
from admin_api.shapes.fleet import DeadGroup, ErrorGroup
from admin_api.shapes.runs import Run
from jobs.operations.runs.selector import read_moment

router = APIRouter(prefix="/v1", tags=["dead letters"], route_class=Route)


class Since(Paging):
    since: str | None = Field(None, max_length=100, description="`1h` (ago) or `2026-11-01`.")

    def moment(self, api_state: ApiState) -> datetime | None:
        """The moment, rounded to ten seconds: it is part of the cache key, which would otherwise never match again."""
        if self.since is None:
            return None
        now = api_state.app.clock.now()
        return read_moment(self.since, what="since", now=now.replace(second=now.second // 10 * 10, microsecond=0))


Sinces = Annotated[Since, Query()]


@router.get("/dead-letters", summary="List dead letters", responses=MISSED)
def list_dead_letters(api_state: CurrentState, by: By, query: Annotated[RunQuery, Query()]) -> Envelope[list[Run]]:
    """Dead runs, the latest first: `/v1/runs` with `state=dead`."""
    return runs_page(api_state, by, query, states=("dead",))


@router.get("/dead-letter-groups", summary="List dead letters in groups")
def list_dead_letter_groups(api_state: CurrentState, by: By, query: Sinces) -> Envelope[list[DeadGroup]]:
    """Grouped by kind, cause and error; the largest group first. `fingerprint` selects the runs of a group."""
    found = api_state.reports.dead_groups(by, since=query.moment(api_state))
    return _numbered(found, query, DeadGroup.model_validate)


@router.get("/errors", summary="List errors in groups")
def list_errors(api_state: CurrentState, by: By, query: Sinces) -> Envelope[list[ErrorGroup]]:
    """Grouped by error, the most frequent first. `since` defaults to a day ago."""
    found = api_state.reports.error_groups(by, since=query.moment(api_state))
    return _numbered(found, query, ErrorGroup.model_validate)


def _numbered(found: list[Any], query: Paging, show: Any) -> Envelope[list[Any]]:
    """A page of a list ordered by counts; its cursor is a plain offset, because counts change."""
    begin = query.after_number or 0
    numbered = list(enumerate(found[begin : begin + query.more], start=begin + 1))
    return page(numbered, query, lambda one: show(one[1]), place=lambda one: one[0])
