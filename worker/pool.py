"""Pool: dramatiq's threads in one worker process, and how they end at once rather than within their second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from queue import Empty, PriorityQueue
from typing import Any

from dramatiq.worker import Worker, _WorkQueueItem

from jobs.dramatiq import SeamBroker

STOP_SECONDS = 0.5
"""What the threads may take to end, all together; one that hangs in a job is left behind. Source: decision."""


class Pool(Worker):
    """A thread for each run that is performed at once, and one for each queue, which hands over."""

    def __init__(self, broker: SeamBroker, *, queues: Sequence[str], threads: int) -> None:
        super().__init__(broker, queues=set(queues), worker_threads=threads)
        self.work_queue = self._waiting = _WorkQueue()

    def threads(self) -> list[threading.Thread]:
        """All that should be alive."""
        return [*self.workers, *self.consumers.values()]

    def replace(self, stuck: threading.Thread) -> None:
        """A thread hangs in a job whose attempt has ended: another takes its place."""
        for thread in self.workers:
            if thread is stuck:
                thread.stop()
                self.workers.remove(thread)
                self._add_worker()
                return

    def stop_handing_over(self) -> None:
        """Let the threads of the queues end; those that perform still acknowledge through them."""
        for thread in self.consumers.values():
            thread.stop()

    def stop(self, timeout: int = int(STOP_SECONDS * 1000)) -> None:
        for thread in self.workers:
            thread.stop()
        self._waiting.close()
        super().stop(timeout)


class _WorkQueue(PriorityQueue["_WorkQueueItem"]):
    """Once it is closed, whoever waits for an item is told at once that there is none."""

    _LAST: Any = _WorkQueueItem(sys.maxsize, None)  # type: ignore[arg-type]

    def close(self) -> None:
        self.put(self._LAST)

    def get(self, block: bool = True, timeout: float | None = None) -> _WorkQueueItem:
        item = super().get(block, timeout)
        if item is self._LAST:
            self.put(item)
            raise Empty
        return item
