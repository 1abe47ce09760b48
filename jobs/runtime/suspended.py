"""How a run that waits leaves ``perform``."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID


class Suspended(BaseException):
    """The run waits for ``held_on`` and holds no thread meanwhile; ``perform`` begins again when the wait is over.

    Raised by ``self.run.wait_for``, ``sleep`` and ``gather``. Do not catch it.
    """

    def __init__(self, held_on: str, *, until: datetime | None, batch_id: UUID | None = None) -> None:
        super().__init__(f"waits for {held_on}")
        self.held_on = held_on
        self.until = until
        self.batch_id = batch_id
