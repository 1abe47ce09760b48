"""The list of runs: a query box, states, pages, and actions on the ticked runs or on all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from admin_api.http.state import CurrentState
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import link, page
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import Choice, read_choice
from jobs.errors import JobsError, SelectorRefused
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.insight.cached_reports import CachedReports
from jobs.operations.runs import inspect
from jobs.operations.runs.query import FIELDS
from jobs.operations.runs.selector import make_selector

router = page_router()
A_PAGE = 50
STATES = ("ready", "running", "retrying", "scheduled", "parked", "waiting", "dead", "succeeded", "cancelled")


@router.get("/runs")
@cacheable
def show_runs(request: Request, api_state: CurrentState, visitor: Visitor, cursor: str | None = None) -> Response:
    app, operator = api_state.app, visitor.operator
    choice = replace(read_choice(request.query_params), ids=())
    problem: JobsError | None = None
    found = inspect.RunPage([], None)
    counts: dict[str, Any] = {}
    try:
        selector = make_selector(app, choice.asked)
        found = inspect.list_runs(app, operator, selector, limit=A_PAGE, cursor=cursor)
        counts = _counts(api_state.reports, operator, choice, selector)
    except JobsError as error:
        if not isinstance(error, SelectorRefused) and error.code not in ("not_found", "ambiguous"):
            raise
        problem = error
    return page(
        request,
        "runs.html",
        identity=visitor,
        status=200 if problem is None else 422,
        choice=choice,
        states=[(word, _chip(choice, word), counts.get(word)) for word in STATES],
        matching=counts.get("all"),
        runs=found.runs,
        problem=problem,
        pointer=problem.pointer if isinstance(problem, SelectorRefused) else None,
        is_first=cursor is None,
        first=link("/runs", where=choice.where, state=choice.states),
        following=link("/runs", where=choice.where, state=choice.states, cursor=found.next_cursor)
        if found.next_cursor
        else None,
        fields=(*FIELDS, "args.NAME"),
        command=choice.command("list") if choice.where or choice.states else "list",
        refreshes=problem is None,
    )


def _chip(choice: Choice, word: str) -> str:
    """The link of a state: selects this state alone, or clears it if it is selected."""
    states = () if choice.states == (word,) else (word,)
    return link("/runs", where=choice.where, state=states)


def _counts(figures: CachedReports, operator: Operator, choice: Choice, selector: Selector) -> dict[str, Any]:
    """The number of runs in each state; with a query, the matches. Does not count a query that would scan every run."""
    if not choice.where:
        counts: dict[str, Any] = dict(figures.counts(operator))
        if len(choice.states) == 1:
            counts["all"] = counts.get(choice.states[0])
        return counts
    if selector.is_slow:
        return {}
    return {"all": figures.count(operator, selector)}
