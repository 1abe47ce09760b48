"""Users: lists, creates and changes them; and the visitor's own tokens for programs."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.http.state import Ledger
from admin_api.pages.frame.page_auth import Form, Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.errors import Conflict, Forbidden, JobsError, NotFound
from jobs.operations.access import sessions, tokens, users
from jobs.operations.access.access_errors import CredentialRefused
from jobs.operations.audit.operator import ROLES, Operator

router = page_router()
A_PAGE = 50


@router.get("/users")
def show_users(request: Request, app: Ledger, visitor: Visitor, after: str = "") -> Response:
    return _users_page(request, app, visitor, after=after)


@router.post("/users")
def create(request: Request, app: Ledger, visitor: Visitor, form: Form) -> Response:
    name, role = str(form.get("name", "")), str(form.get("role", ""))
    try:
        users.create_user(app, visitor.operator, name, password=str(form.get("password", "")), role=role)
    except (CredentialRefused, Conflict) as error:
        return _users_page(request, app, visitor, problem=error, given=(name, role), status=422)
    return RedirectResponse("/users", 303)


@router.get("/users/{name}")
def show_user(request: Request, app: Ledger, visitor: Visitor, name: str) -> Response:
    return _user_page(request, app, visitor, name)


@router.post("/users/{name}")
def change(request: Request, app: Ledger, visitor: Visitor, name: str, form: Form) -> Response:
    operator, reason = visitor.operator, str(form.get("reason", "")).strip() or None
    try:
        _change(app, operator, name, form, reason)
    except (CredentialRefused, Conflict) as error:
        return _user_page(request, app, visitor, name, problem=error, status=422)
    return RedirectResponse(f"/users/{name}", 303)


@router.post("/users/{name}/tokens")
def create_token(request: Request, app: Ledger, visitor: Visitor, name: str, form: Form) -> Response:
    """Shows the secret once."""
    days = str(form.get("days", ""))
    try:
        if not days.isdecimal() or not 1 <= int(days[:5]) <= 366:
            raise CredentialRefused("A token lasts 1 to 366 days.")
        _, secret = tokens.create_token(
            app, visitor.operator, user=name, name=str(form.get("token", "")),
            permissions=[str(one) for one in form.getlist("permission")], lasts=timedelta(days=int(days)),
            reason=str(form.get("reason", "")).strip() or None,
        )  # fmt: skip
    except (CredentialRefused, Conflict, Forbidden, NotFound) as error:
        return _user_page(request, app, visitor, name, problem=error, status=422)
    return _user_page(request, app, visitor, name, secret=secret)


@router.post("/users/{name}/tokens/{token_id}")
def revoke_token(app: Ledger, visitor: Visitor, name: str, token_id: UUID, form: Form) -> Response:
    tokens.revoke_token(app, visitor.operator, token_id)
    return RedirectResponse(f"/users/{name}", 303)


@router.post("/users/{name}/sessions/{session_id}")
def end_session(app: Ledger, visitor: Visitor, name: str, session_id: UUID, form: Form) -> Response:
    sessions.end_session(app, visitor.operator, session_id)
    return RedirectResponse(f"/users/{name}", 303)


def _change(app: Ledger, operator: Operator, name: str, form: Form, reason: str | None) -> None:
    match str(form.get("what", "")):
        case "role":
            users.change_role(app, operator, name, role=str(form.get("role", "")), reason=reason)
        case "disable":
            users.disable_user(app, operator, name, reason=reason)
        case "enable":
            users.disable_user(app, operator, name, is_disabled=False, reason=reason)
        case "reset":
            users.reset_password(app, operator, name, password=str(form.get("password", "")), reason=reason)
        case _:
            raise HTTPException(404)


def _users_page(
    request: Request,
    app: Ledger,
    visitor: Visitor,
    *,
    after: str = "",
    problem: JobsError | None = None,
    given: tuple[str, str] = ("", "viewer"),
    status: int = 200,
) -> Response:
    found = users.list_users(app, visitor.operator, after=after, limit=A_PAGE + 1)
    return page(
        request,
        "users.html",
        identity=visitor,
        status=status,
        users=found[:A_PAGE],
        following=found[A_PAGE - 1].name if len(found) > A_PAGE else None,
        roles=list(ROLES),
        problem=problem,
        given=given,
        refreshes=False,
    )


def _user_page(
    request: Request,
    app: Ledger,
    visitor: Visitor,
    name: str,
    *,
    problem: JobsError | None = None,
    secret: str | None = None,
    status: int = 200,
) -> Response:
    user = users.find_user(app, visitor.operator, name)
    return page(
        request,
        "user.html",
        identity=visitor,
        status=status,
        user=user,
        tokens=tokens.list_tokens(app, visitor.operator, user=user.name),
        sessions=sessions.list_sessions(app, visitor.operator, user=user.name, limit=100),
        current=visitor.session_id,
        place=f"/users/{user.name}/sessions",
        roles=list(ROLES),
        permissions=sorted(ROLES[user.role]),
        problem=problem,
        secret=secret,
        is_self=user.name == visitor.operator.name,
        refreshes=False,
    )
