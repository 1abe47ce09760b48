"""Receivers of alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Given, Name, Reason, Shape

Topic = Literal["dead", "target", "breaker", "stuck", "scheduler"]


class AlertRoute(Shape):
    """A receiver of alerts. Its secrets are in the workers' environment, and never shown."""

    name: str = Field(examples=["pager"])
    kind: str = Field(description="`webhook`, `slack` or `email`.", examples=["webhook"])
    target: str | None = Field(description="Its URL or addresses; null: the variable `target_env` has it.")
    target_env: str | None
    secret_env: str | None = Field(description="The variable that has the secret of its signatures.")
    topics: list[str] = Field(examples=[["dead", "stuck"]])
    group_seconds: int = Field(description="Shortest time between two messages about one problem.")
    added_by: str
    added_at: datetime
    disabled_at: datetime | None = Field(description="Since when it gets none: it answered 410.")
    disabled_why: str | None


class NewAlertRoute(Given):
    """A receiver to add."""

    name: Name | None = Field(None, description="Default: the kind.", examples=["pager"])
    kind: Literal["webhook", "slack", "email"] = Field(examples=["webhook"])
    target: str | None = Field(None, max_length=2000, examples=["https://ops.example.com/in"])
    target_env: str | None = Field(None, max_length=100, description="`JOBS_ALERT_URL…`, instead of `target`.")
    secret_env: str | None = Field(None, max_length=100, description="`JOBS_ALERT_SECRET…`; default that.")
    topics: list[Topic] = Field(min_length=1, max_length=5, examples=[["dead", "stuck"]])
    group_seconds: int = Field(600, ge=0, le=604_800)
    reason: Reason = None


class AlertTest(Shape):
    run_id: UUID = Field(description="The run that delivers the test.")
