"""Figures: what many look at and what is dear to count, kept for a moment. Cache-aside; whoever writes drops it.

A figure is kept under everything that changes it: its name, what was asked, and whether who asks may read the words of
errors. Nothing is kept for longer than its time, nor more than so many; one thread counts, and the others wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from jobs.app import App
from jobs.ledger.errors import ErrorGroup
from jobs.ledger.reports import DeadGroup
from jobs.ledger.selectors import Selector
from jobs.ledger.series import Latency, Series
from jobs.ledger.walk import Count
from jobs.operations import inspect, letters, names, overview, queue
from jobs.operations.inspect import Status
from jobs.operations.operator import Operator, Permission
from jobs.operations.overview import Oldest
from jobs.operations.queue import QueueView
from jobs.operations.trouble import Trouble, troubles

FRESH = timedelta(seconds=2)
"""How old a figure may be. Source: decision; what a page that refreshes every few seconds cannot tell from now."""
SLOW_FRESH = timedelta(seconds=10)
"""The same for groups and percentiles, which change slowly and cost most."""
MOST_KEPT = 256
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    value: Any
    until: float


class Figures:
    """The figures of one process. Safe to share among threads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept: dict[Hashable, _Kept] = {}
        self._asking: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._drops = 0

    def drop(self) -> None:
        """Forget all: something was changed."""
        with self._lock:
            self._kept.clear()
            self._drops += 1

    def counts(self, operator: Operator) -> dict[str, Count]:
        """As ``overview.counts``."""
        return self._get(operator, ("counts",), FRESH, lambda: overview.counts(self._app, operator))

    def count(self, operator: Operator, selector: Selector) -> Count:
        """As ``overview.count``."""
        # Which of its words may be looked for is asked of each, not kept.
        inspect.check_words(selector, operator)
        return self._get(operator, ("count", selector), FRESH, lambda: overview.count(self._app, operator, selector))

    def status(self, operator: Operator) -> Status:
        """As ``inspect.status``."""
        return self._get(operator, ("status",), FRESH, lambda: inspect.status(self._app, operator))

    def queues(self, operator: Operator) -> list[QueueView]:
        """All of ``queue.list_queues``."""
        return self._get(operator, ("queues",), FRESH, lambda: queue.list_queues(self._app, operator, limit=10_000))

    def kind_names(self, operator: Operator) -> list[str]:
        """The kinds of ``names.known_names``."""
        return self._get(operator, ("kinds",), FRESH, lambda: names.known_names(self._app, operator, "kind"))

    def oldest(self, operator: Operator) -> Oldest:
        """As ``overview.oldest``."""
        return self._get(operator, ("oldest",), FRESH, lambda: overview.oldest(self._app, operator))

    def throughput(self, operator: Operator, *, since: datetime | None = None, until: datetime | None = None) -> Series:
        """As ``overview.throughput``."""
        key = ("throughput", since, until)
        return self._get(
            operator, key, SLOW_FRESH, lambda: overview.throughput(self._app, operator, since=since, until=until)
        )

    def latencies(self, operator: Operator) -> list[Latency]:
        """As ``overview.latencies``."""
        return self._get(operator, ("latencies",), SLOW_FRESH, lambda: overview.latencies(self._app, operator))

    def dead_groups(self, operator: Operator, *, since: datetime | None = None, limit: int = 1000) -> list[DeadGroup]:
        """As ``letters.dead_groups``."""
        return self._get(
            operator, ("dead", since, limit), SLOW_FRESH,
            lambda: letters.dead_groups(self._app, operator, since=since, limit=limit),
        )  # fmt: skip

    def error_groups(self, operator: Operator, *, since: datetime | None = None, limit: int = 1000) -> list[ErrorGroup]:
        """As ``letters.error_groups``."""
        return self._get(
            operator, ("errors", since, limit), SLOW_FRESH,
            lambda: letters.error_groups(self._app, operator, since=since, limit=limit),
        )  # fmt: skip

    def troubles(self, operator: Operator) -> list[Trouble]:
        """As ``trouble.troubles``."""
        return self._get(operator, ("troubles",), FRESH, lambda: troubles(self._app, operator))

    def _get(self, operator: Operator, key: Hashable, fresh: timedelta, make: Callable[[], T]) -> T:
        """What is kept, if it is fresh and the operator may see it; else what ``make`` gives, kept from now on."""
        operator.need(Permission.RUNS_READ)
        whole = (key, operator.may(Permission.ARGUMENTS_READ))
        found = self._fresh(whole)
        if found is None:
            with self._lock:
                asking = self._asking.setdefault(whole, threading.Lock())
            try:
                with asking:
                    found = self._fresh(whole)
                    if found is None:
                        drops = self._drops
                        found = self._keep(whole, make(), fresh, drops)
            finally:
                with self._lock:
                    self._asking.pop(whole, None)
        return cast(T, found.value)

    def _fresh(self, key: Hashable) -> _Kept | None:
        found = self._kept.get(key)
        return found if found is not None and found.until > self._app.clock.monotonic() else None

    def _keep(self, key: Hashable, value: object, fresh: timedelta, drops: int) -> _Kept:
        """Keep it, unless something was changed while it was counted."""
        now = self._app.clock.monotonic()
        kept = _Kept(value, now + fresh.total_seconds())
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept = {one: other for one, other in self._kept.items() if other.until > now}
            if len(self._kept) < MOST_KEPT and drops == self._drops:
                self._kept[key] = kept
        return kept
