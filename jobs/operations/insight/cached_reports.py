"""A cache of reports that many pages show and that are slow to count; every change drops it.

A figure is kept under everything that changes it: its name, what was asked, and whether who asks may read the words of
errors. One that is no longer fresh is still shown, up to ``STALE`` times that age, while one thread counts it anew
behind; so whoever looks again waits for nothing. Beyond that, one thread counts and the others wait for it. Nothing is
kept for longer, nor more than so many; and what is dear to count stays fresh for longer, so that all looking together
costs the ledger little.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from jobs.app import App
from jobs.errors import JobsError
from jobs.ledger.queries.error_groups import ErrorGroup
from jobs.ledger.queries.pagination import RunCount
from jobs.ledger.queries.reports import DeadGroup
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.queries.series import Latency, Series
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight import dead_letters, kinds, names, overview
from jobs.operations.insight import queues as queue
from jobs.operations.insight.alerts import Alert, alerts
from jobs.operations.insight.kinds import KindStatistics
from jobs.operations.insight.overview import Oldest
from jobs.operations.insight.queues import QueueSummary
from jobs.operations.insight.ttl_cache import TtlCache, fresh_seconds
from jobs.operations.runs import inspect
from jobs.states import RunState

log = logging.getLogger("jobs.api")

FRESH = timedelta(seconds=2)
"""How old a figure may be. Source: decision; what a page that refreshes every few seconds cannot tell from now."""
SLOW_FRESH = timedelta(seconds=10)
"""The same for groups and percentiles, which change slowly and cost most."""
STALE = 3
"""Until so many times the age at which it is no longer fresh, a figure is shown and renewed behind. Source: decision;
counts are 6 s old at most, and groups half a minute."""
SHARE, MOST_FRESH = 200, timedelta(seconds=30)
"""A figure is fresh for at least so many times as long as it took to count, up to that. Source: decision; counting one
over and over then takes half a hundredth of a core: where it takes a tenth of a second, that is every twenty."""
MOST_KEPT = 256
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _CachedValue:
    value: Any
    fresh_until: float


class CachedReports:
    """The figures of one process. Safe to share among threads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept: TtlCache[_CachedValue] = TtlCache(app.clock, most=MOST_KEPT)
        self._asking: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._renewing: set[Hashable] = set()
        self._behind: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Count nothing anew behind any more; return when the thread has ended."""
        with self._lock:
            behind, self._behind = self._behind, None
        if behind is not None:
            behind.shutdown(wait=True, cancel_futures=True)

    def drop(self) -> None:
        """Forget all: something was changed."""
        self._kept.drop()

    def counts(self, operator: Operator) -> dict[str, RunCount]:
        """As ``overview.counts``."""
        return self._get(operator, ("counts",), FRESH, lambda: overview.counts(self._app, operator))

    def count(self, operator: Operator, selector: Selector) -> RunCount:
        """As ``overview.count``."""
        # Which of its words may be looked for is asked of each, not kept.
        inspect.check_words(selector, operator)
        return self._get(operator, ("count", selector), FRESH, lambda: overview.count(self._app, operator, selector))

    def queues(self, operator: Operator) -> list[QueueSummary]:
        """All of ``queue.list_queues``."""
        return self._get(operator, ("queues",), FRESH, lambda: queue.list_queues(self._app, operator, limit=10_000))

    def queue(self, operator: Operator, name: str) -> QueueSummary:
        """One of ``queues``; as ``queue.look_at`` where it is not among them."""
        found = next((one for one in self.queues(operator) if one.name == name), None)
        return found or queue.look_at(self._app, operator, name)

    def kind_names(self, operator: Operator) -> list[str]:
        """The kinds of ``names.known_names``."""
        return self._get(operator, ("kinds",), FRESH, lambda: names.known_names(self._app, operator, "kind"))

    def kind(self, operator: Operator, name: str) -> KindStatistics:
        """As ``kinds.find_kind``."""
        return self._get(operator, ("kind", name), FRESH, lambda: kinds.find_kind(self._app, operator, name))

    def ended(self, operator: Operator) -> dict[RunState, int]:
        """As ``overview.ended``."""
        return self._get(operator, ("ended",), FRESH, lambda: overview.ended(self._app, operator))

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
            lambda: dead_letters.dead_groups(self._app, operator, since=since, limit=limit),
        )  # fmt: skip

    def error_groups(self, operator: Operator, *, since: datetime | None = None, limit: int = 1000) -> list[ErrorGroup]:
        """As ``letters.error_groups``."""
        return self._get(
            operator, ("errors", since, limit), SLOW_FRESH,
            lambda: dead_letters.error_groups(self._app, operator, since=since, limit=limit),
        )  # fmt: skip

    def alerts(self, operator: Operator) -> list[Alert]:
        """As ``trouble.troubles``."""
        return self._get(operator, ("troubles",), FRESH, lambda: alerts(self._app, operator))

    def _get(self, operator: Operator, key: Hashable, fresh: timedelta, make: Callable[[], T]) -> T:
        """What is kept, if it is fresh and the operator may see it; else what ``make`` gives, kept from now on."""
        operator.need(Permission.RUNS_READ)
        whole = (key, operator.may(Permission.ARGUMENTS_READ))
        found = self._kept.find(whole)
        if found is None:
            with self._lock:
                asking = self._asking.setdefault(whole, threading.Lock())
            try:
                with asking:
                    found = self._kept.find(whole) or self._count(whole, fresh, make)
            finally:
                with self._lock:
                    self._asking.pop(whole, None)
        elif found.fresh_until <= self._app.clock.monotonic():
            self._renew(whole, fresh, make)
        return cast(T, found.value)

    def _renew(self, key: Hashable, fresh: timedelta, make: Callable[[], object]) -> None:
        """Count it anew behind, unless that goes on."""
        with self._lock:
            if key in self._renewing:
                return
            self._renewing.add(key)
            if self._behind is None:
                self._behind = ThreadPoolExecutor(1, thread_name_prefix="jobs-figures")
            self._behind.submit(self._renewed, key, fresh, make)

    def _renewed(self, key: Hashable, fresh: timedelta, make: Callable[[], object]) -> None:
        try:
            self._count(key, fresh, make)
        except JobsError as error:
            # Whoever asks when the old one is over is told.
            log.warning("Cached report could not be refreshed: %s", error)
        except Exception:
            log.exception("Refresh of a cached report failed")
        finally:
            with self._lock:
                self._renewing.discard(key)

    def _count(self, key: Hashable, fresh: timedelta, make: Callable[[], object]) -> _CachedValue:
        """Count it, and keep it unless something was changed meanwhile."""
        clock, drops = self._app.clock, self._kept.drops
        began = clock.monotonic()
        value = make()
        now = clock.monotonic()
        age = fresh_seconds(now - began, share=SHARE, least=fresh, most=MOST_FRESH)
        kept = _CachedValue(value, now + age)
        self._kept.put(key, kept, until=now + STALE * age, drops=drops)
        return kept
