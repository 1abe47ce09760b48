"""Users with their roles, and tokens for programs."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.base import Because
from admin_api.shapes.users import Disabled, NewPassword, NewRole, NewToken, NewUser, Token, TokenMade, User
from jobs.operations.access import tokens, users

router = APIRouter(prefix="/v1", route_class=Route)
Pages = Annotated[Paging, Query()]
USERS: list[str | Enum] = ["users"]
TOKENS: list[str | Enum] = ["tokens"]


class TokenQuery(Paging):
    user: str | None = Field(None, max_length=200, description="Only those of this user.")


@router.get("/users", summary="List users", tags=USERS)
def list_users(app: Ledger, by: By, paging: Pages) -> Envelope[list[User]]:
    """By name."""
    found = users.list_users(app, by, after=paging.after_text or "", limit=paging.more)
    return page(found, paging, User.model_validate, place=lambda one: one.name)


@router.post("/users", summary="Create a user", status_code=201, tags=USERS)
def create_user(app: Ledger, by: By, body: NewUser, response: Response) -> Envelope[User]:
    """409 if the name is taken. Users cannot be deleted, because the audit log names them; disable them instead.

    A user that a token creates has no more permissions than the token, and ends with it.
    """
    lasts = None if body.lasts_days is None else timedelta(days=body.lasts_days)
    made = users.create_user(
        app, by, body.name, password=body.password, role=body.role, reason=body.reason, lasts=lasts
    )  # fmt: skip
    response.headers["Location"] = f"/v1/users/{quote(made.name, safe='')}"
    return Envelope(data=User.model_validate(made))


@router.get("/users/{name}", summary="Show a user", tags=USERS)
def read_user(app: Ledger, by: By, name: str) -> Envelope[User]:
    return Envelope(data=User.model_validate(users.find_user(app, by, name)))


@router.put("/users/{name}/role", summary="Give a user another role", tags=USERS)
def change_role(app: Ledger, by: By, name: str, body: NewRole) -> Envelope[User]:
    """It takes effect with the next request. You cannot change your own role."""
    return Envelope(data=User.model_validate(users.change_role(app, by, name, role=body.role, reason=body.reason)))


@router.put("/users/{name}/password", summary="Reset a user's password", tags=USERS)
def reset_password(app: Ledger, by: By, name: str, body: NewPassword) -> Envelope[User]:
    """All sessions and links of the user end; tokens stay valid. Not allowed with a machine token."""
    found = users.reset_password(app, by, name, password=body.password, reason=body.reason)
    return Envelope(data=User.model_validate(found))


@router.put("/users/{name}/disabled", summary="Disable a user, or enable one again", tags=USERS)
def disable_user(app: Ledger, by: By, name: str, body: Disabled) -> Envelope[User]:
    """Sessions and tokens end at once; tokens are valid again when the user is enabled. You cannot disable yourself."""
    found = users.disable_user(app, by, name, is_disabled=body.is_disabled, reason=body.reason)
    return Envelope(data=User.model_validate(found))


@router.get("/tokens", summary="List tokens", tags=TOKENS)
def list_tokens(app: Ledger, by: By, query: Annotated[TokenQuery, Query()]) -> Envelope[list[Token]]:
    """The newest first: all of them with the permission to read users, else your own."""
    found = tokens.list_tokens(app, by, user=query.user, before=query.after_id, limit=query.more)
    return page(found, query, Token.model_validate, place=lambda one: one.id)


@router.post("/tokens", summary="Create a token", status_code=201, tags=TOKENS)
def create_token(app: Ledger, by: By, body: NewToken) -> Envelope[TokenMade]:
    """The response shows the secret, and no later response does.

    A token that a token creates has no more permissions, is valid no longer, and ends with it.
    """
    made, secret = tokens.create_token(
        app, by, user=body.user, name=body.name, permissions=body.permissions,
        lasts=timedelta(days=body.lasts_days), reason=body.reason,
    )  # fmt: skip
    return Envelope(data=TokenMade(**Token.model_validate(made).model_dump(), secret=secret))


@router.delete("/tokens/{id}", summary="Revoke a token", status_code=204, tags=TOKENS)
def revoke_token(app: Ledger, by: By, id: UUID, because: Annotated[Because, Query()]) -> Response:
    """The token, and the users and tokens that it created, end at once."""
    tokens.revoke_token(app, by, id, reason=because.reason)
    return Response(status_code=204)
