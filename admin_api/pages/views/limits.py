"""Limits, rates and breakers: lists them, shows a limit with its keys, and sets, holds and clears it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import ApiState, CurrentState, Ledger
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.form_values import parsed
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import link, page, part
from admin_api.pages.frame.router import page_router
from admin_api.pages.frame.run_query import term
from jobs.definition.limits import MAX_SHOWN_KEY
from jobs.definition.redaction import HIDDEN
from jobs.formats.duration import parse_duration
from jobs.ledger.breakers.reports import BreakerRecord
from jobs.ledger.limits.reports import LimitRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control import breakers, limits

router = page_router()
MOST = 200
VERBS = {
    "set": "It wins over what the code declares until it is cleared, and is in force at once. "
    "A smaller number interrupts nothing.",
    "hold": "No run starts before the time is over or the limit is cleared. Running ones continue.",
    "clear": "What the code declares is in force again, and a hold ends.",
}


@router.get("/limits")
@cacheable
def show_limits(
    request: Request, api_state: CurrentState, visitor: Visitor, after: str = "", breakers_after: str = ""
) -> Response:
    app, operator = api_state.app, visitor.operator
    found = [one for one in limits.list_limits(app, operator) if one.name > after][:MOST]
    others = [one for one in breakers.list_breakers(app, operator) if one.name > breakers_after][:MOST]
    kinds = _kinds(api_state, operator)
    return page(
        request,
        "limits.html",
        identity=visitor,
        limits=[(one, where_running(one.name, kinds), where_parked(one.name)) for one in found],
        breakers=[(one, where_parked(one.name, on=("breaker",))) for one in others],
        is_first=not (after or breakers_after),
        following=link("/limits", after=found[-1].name, breakers_after=breakers_after) if len(found) == MOST else None,
        following_breakers=link("/limits", after=after, breakers_after=others[-1].name)
        if len(others) == MOST
        else None,
    )


@router.get("/limits/{name:path}/acts/{verb}")
def ask_change(request: Request, app: Ledger, visitor: Visitor, name: str, verb: str) -> Response:
    """Asks for the values and a reason."""
    visitor.operator.need(Permission.QUEUES_WRITE)
    if verb not in VERBS:
        raise HTTPException(404)
    limit, keys = limits.show_limit(app, visitor.operator, name)
    return page(
        request, "limit_act.html", identity=visitor, limit=limit, verb=verb, says=VERBS[verb],
        has_keys=limit.keyed_by is not None or limit.rate_keyed_by is not None, keys=whole_keys(keys), refreshes=False,
    )  # fmt: skip


@router.post("/limits/{name:path}/acts/{verb}")
def change(app: Ledger, visitor: Visitor, name: str, verb: str, form: Form) -> Response:
    operator, key = visitor.operator, str(form.get("key", "")) or None
    reason = str(form.get("reason", "")).strip() or None
    match verb:
        case "set":
            most = number(str(form.get("most", "")))
            rate = str(form.get("rate", "")).strip() or None
            if most is None and rate is None:
                raise HTTPException(422, "Nothing is to be set: write a number or a rate.")
            limits.set_limit(app, operator, name, key=key, most=most, rate=rate, reason=reason)
        case "hold":
            limits.set_limit(
                app, operator, name, key=key, hold=parsed(parse_duration, str(form.get("for", ""))), reason=reason
            )
        case "clear":
            limits.clear_limit(app, operator, name, key=key, reason=reason)
        case _:
            raise HTTPException(404)
    return RedirectResponse(f"/limits/{part(name)}", 303)


@router.get("/limits/{name:path}")
@cacheable
def show_limit(request: Request, api_state: CurrentState, visitor: Visitor, name: str) -> Response:
    limit, keys = limits.show_limit(api_state.app, visitor.operator, name)
    where = where_running(name, _kinds(api_state, visitor.operator))
    held = where_parked(name)
    return page(request, "limit.html", identity=visitor, limit=limit, keys=keys, where=where, held=held)


def where_parked(name: str, *, on: Sequence[str] = ("limit", "rate")) -> str:
    """The query for the runs that are parked on a limit, its rate, or a breaker."""
    return term("held", *(f"{one}:{name}" for one in on))


def where_running(name: str, kinds: set[str]) -> str:
    """The query that narrows a list to runs that may have a slot of a limit; empty if kinds share it."""
    return term("kind", name) if name in kinds else ""


def whole_keys(records: list[LimitRecord] | list[BreakerRecord]) -> list[str]:
    """The keys that a form offers: those that the ledger stores whole and the operator may see."""
    return [one.key for one in records if one.key and one.key != HIDDEN and len(one.key) < MAX_SHOWN_KEY]


def number(text: str) -> int | None:
    """A whole number that a person typed; None for an empty field.

    Raises:
        HTTPException: 422, it is not a number, or has more digits than any that is allowed.
    """
    said = text.strip()
    if not said:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) < 10):
        raise HTTPException(422, f"{said[:40]!r} is not a whole number.")
    return int(said)


def _kinds(api_state: ApiState, operator: Operator) -> set[str]:
    return set(api_state.reports.kind_names(operator))
