"""Callback URLs: an outside system answers a run that waits, without an account, once."""

from __future__ import annotations

import json
from functools import partial

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from admin_api.http.access import Address
from admin_api.http.envelope import Envelope
from admin_api.http.error_responses import ANSWERS
from admin_api.http.prefix_route import PrefixRoute
from admin_api.http.state import CurrentState
from admin_api.shapes.runs import SentSignal
from jobs.errors import ArgumentsRefused, Forbidden
from jobs.operations.access.sign_in_limits import network_of
from jobs.operations.runs.signal import answer_callback

router = APIRouter(prefix="/v1/callbacks", tags=["runs"], route_class=PrefixRoute)


@router.post(
    "/{token}",
    status_code=201,
    summary="Answer a callback URL",
    responses={status: ANSWERS[status] for status in (400, 403, 404, 409, 413, 422, 429, 500, 503)},
)
async def create_answer(
    request: Request, api_state: CurrentState, address: Address, token: str
) -> Envelope[SentSignal]:
    """Sends the signal that `self.run.callback_url` was made for: the body is its payload, any JSON value, or nothing
    for null. It needs no account and works once. 409: it was used or has expired, or the run has ended; 429: too many
    unknown URLs."""
    app = api_state.app
    if app.settings.api_read_only:
        raise Forbidden("The API is read-only.", hint="It was started with JOBS_API_READ_ONLY.")
    body = await request.body()
    try:
        payload = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError) as error:
        raise ArgumentsRefused(f"The body is not JSON: {str(error)[:200]}.", hint="Send a JSON value.") from None
    answer = partial(answer_callback, app, token, payload, address=None if address is None else network_of(address))
    sent = await run_in_threadpool(answer)
    api_state.drop()
    return Envelope(data=SentSignal.model_validate(sent))
