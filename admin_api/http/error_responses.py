"""Turns every error into a status and an envelope with the command line's codes; no response has a traceback."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from admin_api.http.envelope import Failure, failure
from jobs import errors
from jobs.ledger.blobs import blob_errors
from jobs.operations.access import access_errors
from jobs.sealing import seal_errors

log = logging.getLogger("jobs.api")

STATUS: dict[type[errors.JobsError], int] = {
    errors.JobsError: 500,
    errors.ArgumentsRefused: 422,
    errors.EnqueueRefused: 422,
    errors.KeyConflict: 409,
    errors.QueueFull: 429,
    errors.SelectorRefused: 422,
    errors.LedgerRefused: 422,
    errors.DefinitionError: 422,
    access_errors.CredentialRefused: 422,
    access_errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Ambiguous: 409,
    errors.Conflict: 409,
    errors.KeyBusy: 409,
    seal_errors.SealKeyMissing: 409,
    seal_errors.SubjectForgotten: 409,
    blob_errors.StoredMissing: 409,
    blob_errors.StoredAltered: 409,
    access_errors.TooManyAttempts: 429,
    errors.ServiceDown: 503,
    errors.LedgerMissing: 503,
    errors.SchemaMismatch: 503,
}
_PLAIN = {
    400: ("bad_request", "The request cannot be read."),
    404: ("not_found", "There is no such address."),
    405: ("method_not_allowed", "This address does not support the method."),
    413: ("too_large", "The request is too large."),
    421: ("wrong_host", "This server does not answer to that host name."),
}
_BUSY_SECONDS = 2

ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": text}
    for status, text in {
        400: "The request cannot be read.",
        401: "No valid credentials.",
        403: "The operator has no permission for this.",
        404: "Not found.",
        409: "The current state does not allow it.",
        413: "The request is too large.",
        422: "A value in the request is not valid.",
        429: "Too many requests, or a full queue; see Retry-After.",
        500: "A bug in jobledger; the log has the request id.",
        503: "The ledger does not answer, or is busy.",
    }.items()
}
"""The error responses of any route, for OpenAPI."""


def request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


def status_of(error: errors.JobsError) -> int:
    """The HTTP status; the most derived class decides."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def install(api: FastAPI) -> None:
    """Make ``api`` answer every ``JobsError`` in the envelope. The middleware handles all other exceptions."""
    api.add_exception_handler(errors.JobsError, _ours)
    api.add_exception_handler(RequestValidationError, _unread)
    api.add_exception_handler(HTTPException, _plain)
    api.add_exception_handler(Exception, _bug)


def answer_error(error: errors.JobsError, *, request_id: str) -> JSONResponse:
    """The response for a ``JobsError``."""
    status = status_of(error)
    message, hint = error.message, error.hint
    if status >= 500 and not isinstance(error, access_errors.Overloaded):
        log.warning("A request failed", extra={"request_id": request_id, "code": error.code, "error": str(error)})
        # The database's address and message are only for the log.
        message, hint = "The ledger is not available now." if status == 503 else "The request failed.", "Try again."
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
    """Seconds until a retry may succeed, if known."""
    if isinstance(error, access_errors.TooManyAttempts):
        return error.retry_after_seconds
    return _BUSY_SECONDS if status_of(error) == 503 or isinstance(error, errors.QueueFull) else None


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
    message = "A value in the request is not valid." if is_json else "The body is not JSON."
    return JSONResponse(failure(code, message, request_id=request_id(request), details=details), status)


async def _bug(request: Request, error: Exception) -> Response:
    # The guard logs it: the framework raises it again after this response is sent.
    body = failure("bug", "This is a bug in jobledger.", request_id=request_id(request), hint="See the log.")
    return JSONResponse(body, 500)


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _PLAIN.get(error.status_code, ("error", str(error.detail)))
    body = failure(code, message, request_id=request_id(request))
    return JSONResponse(body, error.status_code, dict(error.headers or {}))
