"""Thread pool: dramatiq's threads in one worker process, which take their runs from the fetcher."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import Empty
from typing import Any

from dramatiq.broker import MessageProxy
from dramatiq.worker import Worker, WorkerThread

from jobs.dramatiq.patches import is_patched
from worker.dramatiq.middleware_hooks import MiddlewareHooks
from worker.exchange.delivery import Delivery
from worker.exchange.fetcher import Fetcher
from worker.process.thread_broker import ThreadBroker

STOP_SECONDS = 0.5
"""How long all threads together may take to end; one that hangs in a job is left running. Source: decision."""
LONGEST_WAIT = 60.0
"""Seconds that a thread sleeps unless it is woken; an unlimited wait cannot be interrupted. Source: decision."""


class Pool(Worker):
    """The threads that perform runs, and one thread per queue, which dramatiq requires."""

    def __init__(self, broker: ThreadBroker, fetcher: Fetcher, *, queues: Sequence[str], threads: int) -> None:
        super().__init__(broker, queues=set(queues), worker_threads=threads)
        self._fetcher = fetcher
        self.work_queue = _Handover(fetcher)  # type: ignore[assignment]
        self._has_hooks = True

    def start(self) -> None:
        super().start()
        # MiddlewareHooks needs the thread signals only; dramatiq's own middleware needs those of queues.
        theirs = [one for one in self.broker.middleware if type(one) is not MiddlewareHooks]
        self._has_hooks = is_patched() or any(type(one).__module__ != "dramatiq.worker" for one in theirs)

    def threads(self) -> list[threading.Thread]:
        """The threads that should be alive."""
        return [*self.workers, *self.consumers.values()]

    def replace(self, stuck: threading.Thread) -> None:
        """Start another thread in place of one that hangs in a job whose attempt has ended."""
        for thread in self.workers:
            if thread is stuck:
                thread.stop()
                self.workers.remove(thread)
                self._add_worker()
                return

    def stop_handing_over(self) -> None:
        """Let the queue threads end. The threads that perform still acknowledge through their consumers."""
        for thread in self.consumers.values():
            thread.stop()

    def stop(self, timeout: int = int(STOP_SECONDS * 1000)) -> None:
        for thread in self.workers:
            thread.stop()
        self._fetcher.close()
        super().stop(timeout)

    def process(self, thread: WorkerThread, delivery: Any) -> None:
        """Perform a delivery, with dramatiq's hooks around it where there are any to call."""
        if self._has_hooks:
            WorkerThread.process_message(thread, delivery)
            return
        try:
            self.broker.actors[delivery.actor_name].fn(delivery)
        except BaseException as error:
            delivery.stuff_exception(error)
        finally:
            self._fetcher.take_back(delivery)

    def _add_worker(self) -> None:
        thread = _Thread(self)
        thread.start()
        self.workers.append(thread)


class _Thread(WorkerThread):
    def __init__(self, pool: Pool) -> None:
        super().__init__(
            broker=pool.broker,
            consumers=pool.consumers,
            work_queue=pool.work_queue,
            worker_timeout=int(LONGEST_WAIT * 1000),
        )
        self._pool = pool

    def process_message(self, message: MessageProxy) -> None:
        self._pool.process(self, message)


class _Handover:
    """Stands in for the work queue of dramatiq's threads."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def get(self, block: bool = True, timeout: float = LONGEST_WAIT) -> Delivery:
        delivery = self._fetcher.hand_over(timeout if block else 0.0)
        if delivery is None:
            raise Empty
        return delivery

    def get_nowait(self) -> Delivery:
        return self.get(block=False)

    def task_done(self) -> None:
        """Does nothing, since nothing joins this queue."""
