"""The shape of a run whose sealed values were opened."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from admin_api.shapes.base import Shape


class OpenedRun(Shape):
    """What of a run was sealed, in clear."""

    id: UUID
    kind: str
    arguments: Any
    result: Any
