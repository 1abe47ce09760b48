"""Join: waits until a queue has no messages left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dramatiq.errors import QueueJoinTimeout

if TYPE_CHECKING:
    from jobs.app import App


def wait_for_queue(app: App, queue_name: str, *, timeout: int | None, interval: int) -> None:
    """Return when no run of the queue waits or is performed; ``timeout`` and ``interval`` in milliseconds.

    Raises:
        QueueJoinTimeout: runs were left after ``timeout``.
    """
    from jobs.ledger.runs import messages

    clock = app.clock
    until = None if timeout is None else clock.monotonic() + timeout / 1000
    while True:
        with app.database.read() as connection:
            if not messages.has_unfinished(connection, queue_name):
                return
        if until is not None and clock.monotonic() >= until:
            raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
        clock.sleep(interval / 1000)
