"""The options of an enqueue call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from jobs.client.job import Job

OnConflict = Literal["keep", "replace"]
OnParentDead = Literal["cancel", "run", "hold"]


class EnqueueOptions(TypedDict, total=False):
    """The options of an enqueue call; ``Job.enqueue`` describes them."""

    queue: str | None
    delay: timedelta | None
    at: datetime | None
    priority: int | None
    key: str | None
    on_conflict: OnConflict
    expires: timedelta | datetime | None
    tags: Sequence[str]
    on_success: Sequence[Job]
    on_dead: Sequence[Job]
    on_cancelled: Sequence[Job]
    after: Sequence[Any]
    on_parent_dead: OnParentDead
