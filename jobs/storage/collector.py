"""Collects the stored values that no run refers to any more: a part at a time, each in a short transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from jobs.app import App
from jobs.errors import JobsError
from jobs.ledger.blobs import collect
from jobs.ledger.blobs.collect import Removed
from jobs.runtime.fault_points import reached
from jobs.storage.stores import open_store

log = logging.getLogger("jobs.storage")

DOWN_SECONDS = 300.0
"""How long nothing is deleted from a store that did not answer. Source: decision; other tasks of the thread wait
meanwhile, such as the search for runs of dead workers."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Values whose content was deleted, and whether there is more to do now."""

    deleted: int
    has_more: bool


class Collector:
    """Forgets references of runs that are gone, and deletes what nothing refers to."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._down_until: dict[str, float] = {}

    def collect(self, *, should_go_on: Callable[[], bool] = lambda: True) -> Collected:
        """Collect until nothing is left.

        A store that does not answer is logged, and its values are left for later.

        Args:
            should_go_on: asked between two parts.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        with self._app.database.read() as connection:
            if not collect.has_blobs(connection):
                return Collected(0, has_more=False)
        for part in (collect.forget_lost, collect.remove_unused):
            looked_at = collect.LIMIT
            while looked_at >= collect.LIMIT:
                if not should_go_on():
                    return Collected(0, has_more=True)
                with self._app.database.write() as connection:
                    looked_at = part(connection)
        return self._delete_removed(should_go_on)

    def _delete_removed(self, should_go_on: Callable[[], bool]) -> Collected:
        deleted, passed = 0, list[UUID]()
        while len(passed) < collect.LIMIT:
            with self._app.database.read() as connection:
                removed = collect.removed_blobs(connection, passed=passed)
            if not removed:
                break
            for one in removed:
                if not should_go_on():
                    return Collected(deleted, has_more=True)
                if self._delete(one):
                    deleted += 1
                else:
                    passed.append(one.id)
        return Collected(deleted, has_more=False)

    def _delete(self, removed: Removed) -> bool:
        clock = self._app.clock
        if clock.monotonic() < self._down_until.get(removed.store, 0.0):
            return False
        reached("stored:removed")
        try:
            open_store(self._app, removed.store).delete(removed.id)
        except JobsError as error:
            self._down_until[removed.store] = clock.monotonic() + DOWN_SECONDS
            log.warning(
                "Content of removed values not deleted; it is tried again",
                extra={"store": removed.store, "reason": str(error)},
            )
            return False
        reached("stored:deleted")
        with self._app.database.write() as connection:
            collect.delete_row(connection, removed.id)
        return True


def collect_values(app: App) -> Collected:
    """Collect all that can be collected now. Raises the same as ``Collector.collect``."""
    return Collector(app).collect()
