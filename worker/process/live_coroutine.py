"""One attempt of an async job, shared by the loop, the watcher and the thread that stops the process."""

from __future__ import annotations

import asyncio

from worker.attempt.stop_flag import StopFlag
from worker.exchange.delivery import Delivery
from worker.protocol.running_table import NEVER, RunningRows
from worker.timeouts.async_timeout import Limited


class LiveCoroutine:
    """The thread that removes its ``may_end`` ends it; a pop is atomic."""

    def __init__(self, delivery: Delivery, stop_flag: StopFlag, began: float) -> None:
        self.delivery = delivery
        self.stop_flag = stop_flag
        self.began = began
        self.hard_until = NEVER
        self.limited = Limited()
        self.task: asyncio.Task[None] | None = None
        self.may_end = [None]

    def limit(self, hard_until: float, running_rows: RunningRows) -> None:
        """Move its hard limit, here and in the running table that the supervisor reads."""
        self.hard_until = hard_until
        running_rows.limit(self.delivery.running_row, self.delivery.claim.token, hard_until)

    def take_end(self) -> bool:
        """Whether the caller is the one that ends this attempt."""
        try:
            self.may_end.pop()
        except IndexError:
            return False
        return True
