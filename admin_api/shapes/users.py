"""Users and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Because, Name, Shape

Role = Literal["viewer", "operator", "admin"]


class User(Shape):
    id: UUID
    name: str = Field(examples=["ada"])
    role: str = Field(examples=["operator"])
    created_at: datetime
    created_by: str
    password_set_at: datetime
    disabled_at: datetime | None
    expires_at: datetime | None = Field(description="End of the user's access; null: until disabled.")
    parent_id: UUID | None = Field(description="The token that created the user, and whose end ends it.")


class NewUser(Because):
    name: str = Field(max_length=200, examples=["ada"])
    role: Role = Field(examples=["operator"])
    password: str = Field(max_length=1000, examples=["correct horse battery staple"])
    lasts_days: float | None = Field(
        None, gt=0, le=36500, description="Duration of the user's access; default: until disabled."
    )


class NewRole(Because):
    role: Role = Field(examples=["viewer"])


class NewPassword(Because):
    password: str = Field(max_length=1000, examples=["another correct horse battery"])


class Disabled(Because):
    is_disabled: bool = Field(examples=[True])


class Token(Shape):
    id: UUID
    user: str
    name: str = Field(examples=["deploys"])
    permissions: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None
    parent_id: UUID | None = Field(description="The token that created it, and whose end ends it.")


class TokenMade(Token):
    secret: str | None = Field(description="Shown once: null if the request is repeated.", examples=["jl_k3…"])


class NewToken(Because):
    """A program's token: belongs to a user, with part of the user's permissions."""

    user: Name = Field(examples=["ada"])
    name: str = Field(max_length=100, examples=["deploys"])
    permissions: list[str] = Field(max_length=50, examples=[["runs:read", "runs:replay"]])
    lasts_days: float = Field(gt=0, le=366, examples=[90])
