"""Batches."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Shape


class Batch(Shape):
    """A batch. An inner batch counts as one member."""

    id: UUID
    name: str = Field(examples=["import 42"])
    state: str = Field(description="`running`, `succeeded`, `dead` or `cancelled`.", examples=["running"])
    generation: int = Field(description="Rises when a member of an ended batch is replayed.")
    total: int = Field(description="Members.")
    pending: int = Field(description="Members that have not ended.")
    succeeded: int
    dead: int
    cancelled: int
    created_at: datetime
    ended_at: datetime | None
    cancelled_at: datetime | None
    run_id: UUID | None = Field(description="The run that made it.")
    parent_id: UUID | None = Field(description="The batch around it.")
    enqueued_by: str | None
    correlation_id: str | None
