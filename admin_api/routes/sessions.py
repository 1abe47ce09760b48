"""Sessions: sign in, refresh, sign out, and show the current user."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from admin_api.http.access import ACCESS_LIFETIME, Address, By, Who, write_access
from admin_api.http.envelope import Envelope
from admin_api.http.error_responses import ANSWERS
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import ApiState, CurrentState, Ledger
from admin_api.shapes.base import Because, Given, Shape
from jobs.operations.access import sessions as service
from jobs.operations.access import sign_in, users
from jobs.operations.access.sign_in import Opened

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], route_class=Route)


class SignIn(Given):
    name: str = Field(max_length=200, examples=["ada"])
    password: str = Field(max_length=1000, examples=["correct horse battery staple"])


class OwnPassword(Given):
    password: str = Field(
        max_length=1000, description="The current password.", examples=["correct horse battery staple"]
    )
    new_password: str = Field(max_length=1000, examples=["another correct horse battery"])


class Refresh(Given):
    refresh_token: str = Field(max_length=200, examples=["kT3J0…"])


class Session(BaseModel):
    """A pair of tokens: an access token for requests, and a refresh token for the next pair."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int = Field(description="Lifetime of the access token in seconds.", examples=[900])
    refresh_token: str = Field(description="Serves once.")


class SessionQuery(Paging):
    user: str | None = Field(None, max_length=200, description="Only those of this user.")


class SignedIn(Shape):
    """A valid session: of a browser, of the API, or a link that was not used yet."""

    id: UUID
    kind: Literal["page", "api", "link"]
    user: str = Field(validation_alias="actor", examples=["ada"])
    role: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None = Field(description="The client's address at sign-in.", examples=["192.0.2.7"])
    parent_id: UUID | None = Field(description="The link that opened it.")


class Me(BaseModel):
    name: str = Field(examples=["ada"])
    permissions: list[str] = Field(examples=[["runs:read"]])


@router.post("", status_code=201, summary="Sign in", responses={429: ANSWERS[429]})
async def create_session(api_state: CurrentState, address: Address, body: SignIn) -> Envelope[Session]:
    """After five failed attempts from an address, for one account or any, it answers 429 for a minute, and twice as
    long after each further failure, up to 15 minutes. 503: too many users are signing in."""
    work = partial(sign_in.sign_in, api_state.app, body.name, body.password, kind="api", address=address)
    return _opened(api_state, await api_state.doorway.run(work))


@router.post("/refreshes", status_code=201, summary="Refresh")
def refresh_session(api_state: CurrentState, body: Refresh) -> Envelope[Session]:
    """Returns the next pair of tokens. Using a refresh token a second time ends the whole session."""
    return _opened(api_state, sign_in.refresh(api_state.app, body.refresh_token))


@router.get("/current", summary="Show the current user")
def read_session(who: Who) -> Envelope[Me]:
    return Envelope(data=Me(name=who.operator.name, permissions=sorted(who.operator.permissions)))


@router.put("/current/password", status_code=204, summary="Change your own password")
async def change_password(api_state: CurrentState, by: By, address: Address, body: OwnPassword) -> Response:
    """Your other sessions and links end; tokens stay valid. 409 for a request with a machine token."""
    change = partial(
        users.change_own_password, api_state.app, by, old=body.password, new=body.new_password, address=address
    )  # fmt: skip
    await api_state.doorway.run(change)
    return Response(status_code=204)


@router.get("", summary="List sessions")
def list_sessions(app: Ledger, by: By, query: Annotated[SessionQuery, Query()]) -> Envelope[list[SignedIn]]:
    """Valid sessions and links, the newest first: all of them with the permission to read users, else your own."""
    found = service.list_sessions(app, by, user=query.user, before=query.after_id, limit=query.more)
    return page(found, query, SignedIn.model_validate, place=lambda one: one.id)


@router.delete("/current", status_code=204, summary="Sign out")
def delete_session(api_state: CurrentState, who: Who) -> Response:
    """Ends the session of the access token, with all its refresh tokens. It does not revoke a machine token."""
    if who.session_id is not None:
        sign_in.sign_out(api_state.app, who.session_id)
    return Response(status_code=204)


@router.delete("/{id}", status_code=204, summary="End a session")
def end_session(app: Ledger, by: By, id: UUID, because: Annotated[Because, Query()]) -> Response:
    """It ends at once, with its refresh tokens. A link ends with the session that it opened."""
    service.end_session(app, by, id, reason=because.reason)
    return Response(status_code=204)


def _opened(api_state: ApiState, opened: Opened) -> Envelope[Session]:
    return Envelope(
        data=Session(
            access_token=write_access(api_state, opened.identity),
            expires_in=int(ACCESS_LIFETIME.total_seconds()),
            refresh_token=opened.secret,
        )
    )
