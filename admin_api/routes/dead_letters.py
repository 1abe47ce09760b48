"""Dead letters, one by one and in groups; and what fails, in groups."""

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
    since: str | None = Field(None, max_length=100, description="`1h` (ago), `2026-11-01`.")

    def moment(self, api_state: ApiState) -> datetime | None:
        """The moment that is meant, to ten seconds: figures are kept by it, and would never be found again."""
        if self.since is None:
            return None
        now = api_state.app.clock.now()
        return read_moment(self.since, what="since", now=now.replace(second=now.second // 10 * 10, microsecond=0))


Sinces = Annotated[Since, Query()]


@router.get("/dead-letters", summary="List dead letters", responses=MISSED)
def list_dead_letters(api_state: CurrentState, by: By, query: Annotated[RunQuery, Query()]) -> Envelope[list[Run]]:
    """Runs that gave up, the latest first: `/v1/runs` with `state=dead`."""
    return runs_page(api_state, by, query, states=("dead",))


@router.get("/dead-letter-groups", summary="List dead letters in groups")
def list_dead_letter_groups(api_state: CurrentState, by: By, query: Sinces) -> Envelope[list[DeadGroup]]:
    """By kind, cause and error; the largest first. What `fingerprint` selects."""
    found = api_state.reports.dead_groups(by, since=query.moment(api_state))
    return _numbered(found, query, DeadGroup.model_validate)


@router.get("/errors", summary="List what fails")
def list_errors(api_state: CurrentState, by: By, query: Sinces) -> Envelope[list[ErrorGroup]]:
    """By error, the most frequent first; since a day ago unless said."""
    found = api_state.reports.error_groups(by, since=query.moment(api_state))
    return _numbered(found, query, ErrorGroup.model_validate)


def _numbered(found: list[Any], query: Paging, show: Any) -> Envelope[list[Any]]:
    """A page of a list in the order of counts, which has no other place to go on from than its number."""
    begin = query.after_number or 0
    numbered = list(enumerate(found[begin : begin + query.more], start=begin + 1))
    return page(numbered, query, lambda one: show(one[1]), place=lambda one: one[0])
