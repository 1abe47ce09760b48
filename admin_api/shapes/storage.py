"""Where runs and values are: partitions of history, and stored values."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Shape


class HistoryPartition(Shape):
    """One period of one rule of retention, with the attempts and steps of its runs."""

    name: str = Field(examples=["job_history_succeeded_2026_11"])
    rule: str = Field(description="The state whose retention drops it, or a time of its own.", examples=["succeeded"])
    begin: datetime
    end: datetime
    rows: int = Field(description="About how many runs.")
    bytes: int
    drops_at: datetime | None = Field(description="When retention drops it; null: never.")


class DetachedTable(Shape):
    """A table that somebody detached from history: nothing reads it, and retention does not drop it."""

    name: str
    rows: int
    bytes: int


class History(Shape):
    """Whether ended runs move to history, and what is there."""

    state: str = Field(description="`off`, `waiting`, `on` or `disabled`.", examples=["on"])
    period: str | None = Field(description="The length of new partitions.", examples=["month"])
    enabled_at: datetime | None
    moves_after: datetime | None
    partitions: list[HistoryPartition]
    detached: list[DetachedTable]


class StoredValue(Shape):
    """A stored value; never its content."""

    id: UUID
    name: str | None = Field(description="The name that it was given.", examples=["invoice.pdf"])
    size: int | None = Field(description="Bytes; null until it is complete.")
    sha256: str | None
    store: str = Field(description="Where its content is.", examples=["ledger"])
    state: str = Field(description="`used`, `unused`, `incomplete` or `removed`.", examples=["used"])
    runs: int = Field(description="Runs, and follow-ups that wait, that refer to it.")
    created_at: datetime
    collect_at: datetime | None = Field(description="When somebody looks whether a run still refers to it.")
    removed_at: datetime | None = Field(description="Since when its content is being deleted.")
    verified_at: datetime | None = Field(description="When its content was last read to its end, to verify it.")
    problem: str | None = Field(
        description="The code of what was wrong with it then; null: nothing.", examples=["stored_altered"]
    )
