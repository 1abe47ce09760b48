"""Error pages for the API's errors and statuses; redirects visitors who are not signed in to the sign-in page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from admin_api.http.error_responses import answer_error, request_id, status_of
from admin_api.pages.frame.cache_middleware import is_page_path
from admin_api.pages.frame.page_auth import visitor
from admin_api.pages.frame.render import address_of, link, page
from jobs import errors
from jobs.operations.access import access_errors

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]
_PLAIN = {
    404: ("not_found", "There is no such page."),
    405: ("method_not_allowed", "This page does not support the method."),
    413: ("too_large", "The form is too large."),
    400: ("bad_request", "The form cannot be read."),
}


def install(api: FastAPI) -> None:
    """Answer page requests with an error page, and leave all other errors to the existing handlers."""
    for kind in (errors.JobsError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(kind, _either(cast(Handler, api.exception_handlers[kind])))


def is_page(request: Request) -> bool:
    if not is_page_path(request.url.path):
        return False
    return "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"


def _either(other: Handler) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        if is_page(request):
            return await _answer(request, error)
        found = other(request, error)
        return await found if isawaitable(found) else found

    return answer


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, access_errors.Unauthenticated) and request.url.path != "/sign-in":
        return _ask(request)
    explanation = _explanation(request, error)
    identity = None
    if explanation["status"] < 500:
        try:
            identity = await visitor(request)
        except errors.JobsError:
            identity = None
    answer = page(
        request, "error.html", identity=identity, refreshes=False, request_id=request_id(request), **explanation
    )
    if isinstance(error, errors.JobsError):
        for name in ("retry-after",):
            value = answer_error(error, request_id="").headers.get(name)
            if value is not None:
                answer.headers[name] = value
    return answer


def _ask(request: Request) -> Response:
    """Redirect to the sign-in page, which returns here."""
    back = address_of(request) if request.method == "GET" and request.url.path != "/" else None
    where = link("/sign-in", next=back)
    if request.headers.get("hx-request") == "true":
        return Response(status_code=200, headers={"HX-Redirect": where})
    return RedirectResponse(where, 303)


def _explanation(request: Request, error: Exception) -> dict[str, Any]:
    if isinstance(error, errors.JobsError):
        status = status_of(error)
        message, hint = error.message, error.hint
        if status >= 500:
            message, hint = "The ledger is not available now." if status == 503 else "The request failed.", "Try again."
        pointer = error.pointer if isinstance(error, errors.SelectorRefused) else None
        matches = error.matches if isinstance(error, errors.Ambiguous) else ()
        return {"status": status, "code": error.code, "message": message, "hint": hint, "pointer": pointer,
                "matches": matches}  # fmt: skip
    more: dict[str, Any] = {"hint": None, "pointer": None, "matches": ()}
    if isinstance(error, RequestValidationError):
        where = ", ".join(".".join(map(str, one["loc"][1:])) for one in error.errors())
        return {"status": 422, "code": "bad_value", "message": f"A value is not valid: {where}.", **more}
    if isinstance(error, HTTPException):
        code, message = _PLAIN.get(error.status_code, ("error", str(error.detail)))
        return {"status": error.status_code, "code": code, "message": message, **more}
    return {"status": 500, "code": "bug", "message": "This is a bug in jobledger.", **more,
            "hint": "Search the log for the request id."}  # fmt: skip
