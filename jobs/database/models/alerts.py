"""Where alerts go, and what was last sent about each problem."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Flag, Id, JsonText, LongText, Number, UtcDateTime, Words


class AlertRoute(Base):
    """A receiver of alerts. ``secret_env`` and ``target_env`` name variables of the worker's environment."""

    __tablename__ = "alert_routes"

    name: Mapped[str] = column(Words(100), primary_key=True)
    kind: Mapped[str] = column(Words(10))
    target: Mapped[str | None] = column(Words(2000))
    target_env: Mapped[str | None] = column(Words(100))
    secret_env: Mapped[str | None] = column(Words(100))
    topics: Mapped[Any] = column(JsonText)
    group_seconds: Mapped[int] = column(Number)
    added_by: Mapped[str] = column(Words(200))
    added_at: Mapped[datetime] = column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = column(UtcDateTime)
    disabled_why: Mapped[str | None] = column(Words(500))
    removed_at: Mapped[datetime | None] = column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("kind in ('email', 'slack', 'webhook')", name="kind"),
        CheckConstraint("(target is null) <> (target_env is null)", name="target_once"),
        CheckConstraint("group_seconds >= 0", name="group_seconds"),
    )


class AlertState(Base):
    """One problem as its receiver knows it. ``sequence`` counts the messages of its group."""

    __tablename__ = "alert_states"

    route: Mapped[str] = column(Words(100), primary_key=True)
    fingerprint: Mapped[str] = column(Words(32), primary_key=True)
    code: Mapped[str] = column(Words(40))
    subject: Mapped[str | None] = column(Words(300))
    sentence: Mapped[str] = column(LongText)
    is_firing: Mapped[bool] = column(Flag)
    since: Mapped[datetime] = column(UtcDateTime)
    sent_at: Mapped[datetime] = column(UtcDateTime)
    sequence: Mapped[int] = column(Number)
    run_id: Mapped[UUID] = column(Id)
