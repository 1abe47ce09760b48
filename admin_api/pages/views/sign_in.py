"""Pages to sign in with a password or a link, and to sign out."""

from __future__ import annotations

from functools import partial

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.access import Address
from admin_api.http.error_responses import retry_after, status_of
from admin_api.http.state import CurrentState
from admin_api.pages.frame.page_auth import Form, Visitor, forget, local_path, remember
from admin_api.pages.frame.render import THEME_COOKIE, THEMES, page
from admin_api.pages.frame.router import page_router
from jobs.errors import JobsError
from jobs.operations.access import sign_in
from jobs.operations.access.access_errors import Overloaded, TooManyAttempts, Unauthenticated

router = page_router()
A_YEAR = 365 * 86400


@router.get("/sign-in")
def show_sign_in(request: Request, api_state: CurrentState, next: str | None = None) -> Response:
    return _sign_in_page(request, next=next)


@router.post("/sign-in")
async def sign_in_here(request: Request, api_state: CurrentState, address: Address, form: Form) -> Response:
    """Signs in and redirects to the requested page; or shows the form again, with the error."""
    name, following = str(form.get("name", "")), str(form.get("next", "/"))
    password = str(form.get("password", ""))
    try:
        opened = await api_state.doorway.run(
            partial(sign_in.sign_in, api_state.app, name, password, kind="page", address=address)
        )  # fmt: skip
    except (Unauthenticated, TooManyAttempts, Overloaded) as error:
        answer = _sign_in_page(request, next=following, error=error, name=name, status=status_of(error))
        wait = retry_after(error)
        if wait is not None:
            answer.headers["Retry-After"] = str(wait)
        return answer
    return _into(api_state, opened, local_path(following))


@router.get("/link")
def show_link(request: Request, key: str = "") -> Response:
    """Asks before it uses the link, so that a link preview (of a chat program) does not use it up."""
    return page(request, "link.html", key=key, refreshes=False)


@router.post("/link")
def use_link(request: Request, api_state: CurrentState, address: Address, form: Form) -> Response:
    try:
        opened = sign_in.sign_in_by_link(api_state.app, str(form.get("key", "")), address=address)
    except Unauthenticated as error:
        return _sign_in_page(request, error=error, status=401)
    return _into(api_state, opened, "/")


@router.post("/sign-out")
def sign_out(request: Request, api_state: CurrentState, visitor: Visitor, form: Form) -> Response:
    if visitor.session_id is not None:
        sign_in.sign_out(api_state.app, visitor.session_id)
    answer = RedirectResponse("/sign-in", 303)
    forget(answer, api_state)
    return answer


@router.post("/theme")
def choose_theme(api_state: CurrentState, form: Form) -> Response:
    chosen = str(form.get("theme", "auto"))
    answer = RedirectResponse(local_path(str(form.get("back", "/"))), 303)
    answer.set_cookie(
        THEME_COOKIE, chosen if chosen in THEMES else "auto", max_age=A_YEAR, path="/", samesite="lax",
        httponly=True, secure=api_state.app.settings.api_behind_tls,
    )  # fmt: skip
    return answer


def _into(api_state: CurrentState, opened: sign_in.Opened, where: str) -> Response:
    answer = RedirectResponse(where, 303)
    remember(answer, api_state, opened)
    return answer


def _sign_in_page(
    request: Request, *, next: str | None = None, error: JobsError | None = None, name: str = "", status: int = 200
) -> Response:
    return page(
        request, "sign_in.html", status=status, next=local_path(next), error=error, name=name, refreshes=False
    )  # fmt: skip
