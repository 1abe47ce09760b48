"""The account page: the visitor's own password and sessions."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from admin_api.http.access import Address
from admin_api.http.error_responses import retry_after, status_of
from admin_api.http.state import CurrentState, Ledger
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.errors import Conflict, JobsError
from jobs.operations.access import sessions, users
from jobs.operations.access.access_errors import CredentialRefused, Overloaded, TooManyAttempts

router = page_router()


@router.get("/account")
def show_account(request: Request, app: Ledger, visitor: Visitor, done: str = "") -> Response:
    return _account_page(request, app, visitor, is_done=done == "password")


@router.post("/account/password")
async def change_password(
    request: Request, api_state: CurrentState, visitor: Visitor, address: Address, form: Form
) -> Response:
    """Requires the old password, so that nobody can take over an account at an open browser."""
    old, new, again = (str(form.get(name, "")) for name in ("old", "new", "again"))
    try:
        if new != again:
            raise CredentialRefused("The two new passwords differ.", hint="Type the same password twice.")
        change = partial(
            users.change_own_password, api_state.app, visitor.operator, old=old, new=new, address=address
        )  # fmt: skip
        await api_state.doorway.run(change)
    except (CredentialRefused, Conflict, TooManyAttempts, Overloaded) as error:
        status = status_of(error)
        answer = await run_in_threadpool(_account_page, request, api_state.app, visitor, problem=error, status=status)
        wait = retry_after(error)
        if wait is not None:
            answer.headers["Retry-After"] = str(wait)
        return answer
    return RedirectResponse("/account?done=password", 303)


@router.post("/account/sessions/{session_id}")
def end_session(app: Ledger, visitor: Visitor, session_id: UUID, form: Form) -> Response:
    sessions.end_session(app, visitor.operator, session_id)
    return RedirectResponse("/account", 303)


def _account_page(
    request: Request,
    app: Ledger,
    visitor: Visitor,
    *,
    problem: JobsError | None = None,
    is_done: bool = False,
    status: int = 200,
) -> Response:
    return page(
        request,
        "account.html",
        identity=visitor,
        status=status,
        has_password=visitor.user_id is not None,
        sessions=sessions.list_sessions(app, visitor.operator, user=visitor.operator.name, limit=100),
        current=visitor.session_id,
        place="/account/sessions",
        problem=problem,
        is_done=is_done,
        refreshes=False,
    )
