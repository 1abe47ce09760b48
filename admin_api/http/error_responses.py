"""Turns every error into a status and an envelope with the command line's codes; no traceback gets out."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from admin_api.http.envelope import Failure, failure
from jobs import errors

log = logging.getLogger("jobs.api")

STATUS: dict[type[errors.JobsError], int] = {
    errors.JobsError: 500,
    errors.ArgumentsRefused: 422,
    errors.EnqueueRefused: 422,
    errors.KeyConflict: 409,
    errors.SelectorRefused: 422,
    errors.LedgerRefused: 422,
    errors.DefinitionError: 422,
    errors.CredentialRefused: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Ambiguous: 409,
    errors.Conflict: 409,
    errors.KeyBusy: 409,
    errors.TooManyTries: 429,
    errors.ServiceDown: 503,
    errors.LedgerMissing: 503,
    errors.SchemaMismatch: 503,
}
_PLAIN = {
    400: ("bad_request", "The request cannot be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take the method."),
    413: ("too_large", "The request is larger than what is taken."),
    421: ("wrong_host", "This server does not answer to that host name."),
}
_BUSY_SECONDS = 2

ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": text}
    for status, text in {
        400: "The request cannot be read.",
        401: "No credentials, or ones that do not serve.",
        403: "The operator may not do this.",
        404: "There is no such thing.",
        409: "The state of things does not allow it.",
        413: "The request is too large.",
        422: "A value in the request does not serve.",
        429: "Tried too often; see Retry-After.",
        500: "A bug of ours; look for the request id in the log.",
        503: "The ledger does not answer, or is busy.",
    }.items()
}
"""For OpenAPI: what any route may answer when it does not go well."""


def request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


def status_of(error: errors.JobsError) -> int:
    """The HTTP status; the most derived class decides."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def install(api: FastAPI) -> None:
    """Let ``api`` answer every error in the envelope. What is no error of ours is the middleware's."""
    api.add_exception_handler(errors.JobsError, _ours)
    api.add_exception_handler(RequestValidationError, _unread)
    api.add_exception_handler(HTTPException, _plain)
    api.add_exception_handler(Exception, _bug)


def answer_error(error: errors.JobsError, *, request_id: str) -> JSONResponse:
    """An error of ours as an answer."""
    status = status_of(error)
    message, hint = error.message, error.hint
    if status >= 500 and not isinstance(error, errors.Overloaded):
        log.warning("A request failed.", extra={"request_id": request_id, "code": error.code, "error": str(error)})
        # Where the database is, and what it said, is for the log.
        message, hint = "The ledger does not serve us now." if status == 503 else "This went wrong.", "Try again."
    headers: dict[str, str] = {}
    wait = retry_after(error)
    if wait is not None:
        headers["Retry-After"] = str(wait)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    details = _details(error)
    body = failure(error.code, message, request_id=request_id, hint=hint, details=details)
    return JSONResponse(body, status, headers)


def retry_after(error: errors.JobsError) -> int | None:
    """After how many seconds it may go well, where that can be said."""
    if isinstance(error, errors.TooManyTries):
        return error.retry_after_seconds
    return _BUSY_SECONDS if status_of(error) == 503 else None


def _details(error: errors.JobsError) -> list[dict[str, Any]]:
    if isinstance(error, errors.Ambiguous):
        return [{"match": one} for one in error.matches]
    if isinstance(error, errors.ArgumentsRefused) and error.field:
        return [{"field": error.field}]
    if isinstance(error, errors.SelectorRefused) and error.pointer:
        return [{"pointer": list(error.pointer)}]
    return []


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.JobsError)
    return answer_error(error, request_id=request_id(request))


async def _unread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    is_json = not any(one["type"] == "json_invalid" for one in found)
    details = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in found]
    code, status = ("bad_value", 422) if is_json else ("bad_request", 400)
    message = "A value in the request does not serve." if is_json else "The body is no JSON."
    return JSONResponse(failure(code, message, request_id=request_id(request), details=details), status)


async def _bug(request: Request, error: Exception) -> Response:
    # The guard logs it: the framework hands it on once this answer is sent.
    body = failure("bug", "This is a bug of ours.", request_id=request_id(request), hint="See the log.")
    return JSONResponse(body, 500)


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _PLAIN.get(error.status_code, ("error", str(error.detail)))
    body = failure(code, message, request_id=request_id(request))
    return JSONResponse(body, error.status_code, dict(error.headers or {}))
