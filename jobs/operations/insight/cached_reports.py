"""A cache of reports that many pages show and that are slow to count; every change empties it.

The key of a report has everything that affects it: its name, its arguments, and whether the operator may read the texts
of errors. A report that is no longer fresh is shown up to ``STALE`` times its age limit, while one thread refreshes it
in the background. When it is older, one thread counts and the others wait. The number of cached reports is limited, and
a report that is slow to count stays fresh for longer, so that all viewers together cost the ledger little.

It pays for itself below the cache of pages: the overview takes 10 ms with it and 202 ms without, each time that its
page is rendered. Source: ``benchmarks.web_layers``, 20,000 runs on SQLite.
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
from jobs.operations.insight.targets import TargetSummary, list_targets
from jobs.operations.insight.ttl_cache import TtlCache, fresh_seconds
from jobs.operations.runs import inspect
from jobs.states import RunState

log = logging.getLogger("jobs.api")

FRESH = timedelta(seconds=2)
"""Age limit of a fresh report. Source: decision; on a page that refreshes every few seconds it looks current."""
SLOW_FRESH = timedelta(seconds=10)
"""The same for groups and percentiles, which change slowly and cost most."""
STALE = 3
"""A report up to this many times its age limit is shown and refreshed in the background. Source: decision.

Counts are 6 s old at most, and groups half a minute.
"""
SHARE, MOST_FRESH = 200, timedelta(seconds=30)
"""A report stays fresh for at least this many times its counting time, up to the second value. Source: decision.

Repeated counting then takes half a per cent of a core: a count of a tenth of a second is repeated every twenty seconds.
"""
MOST_KEPT = 256
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _CachedValue:
    value: Any
    fresh_until: float


class CachedReports:
    """The cached reports of one process. Thread-safe."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept: TtlCache[_CachedValue] = TtlCache(app.clock, most=MOST_KEPT)
        self._asking: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._renewing: set[Hashable] = set()
        self._behind: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Stop refreshing in the background; return when the thread has ended."""
        with self._lock:
            behind, self._behind = self._behind, None
        if behind is not None:
            behind.shutdown(wait=True, cancel_futures=True)

    def drop(self) -> None:
        """Empty the cache, because the ledger was changed."""
        self._kept.drop()

    def counts(self, operator: Operator) -> dict[str, RunCount]:
        """Like ``overview.counts``."""
        return self._get(operator, ("counts",), FRESH, lambda: overview.counts(self._app, operator))

    def count(self, operator: Operator, selector: Selector) -> RunCount:
        """Like ``overview.count``."""
        # The permission to search for its words is checked on each call, not cached.
        inspect.check_words(selector, operator)
        return self._get(operator, ("count", selector), FRESH, lambda: overview.count(self._app, operator, selector))

    def queues(self, operator: Operator) -> list[QueueSummary]:
        """All of ``queues.list_queues``."""
        return self._get(operator, ("queues",), FRESH, lambda: queue.list_queues(self._app, operator, limit=10_000))

    def queue(self, operator: Operator, name: str) -> QueueSummary:
        """One of ``queues``; like ``queues.look_at`` if it is not among them."""
        found = next((one for one in self.queues(operator) if one.name == name), None)
        return found or queue.look_at(self._app, operator, name)

    def kind_names(self, operator: Operator) -> list[str]:
        """The kinds of ``names.known_names``."""
        return self._get(operator, ("kinds",), FRESH, lambda: names.known_names(self._app, operator, "kind"))

    def kind(self, operator: Operator, name: str) -> KindStatistics:
        """Like ``kinds.find_kind``."""
        return self._get(operator, ("kind", name), FRESH, lambda: kinds.find_kind(self._app, operator, name))

    def ended(self, operator: Operator) -> dict[RunState, int]:
        """Like ``overview.ended``."""
        return self._get(operator, ("ended",), FRESH, lambda: overview.ended(self._app, operator))

    def oldest(self, operator: Operator) -> Oldest:
        """Like ``overview.oldest``."""
        return self._get(operator, ("oldest",), FRESH, lambda: overview.oldest(self._app, operator))

    def throughput(self, operator: Operator, *, since: datetime | None = None, until: datetime | None = None) -> Series:
        """Like ``overview.throughput``."""
        key = ("throughput", since, until)
        return self._get(
            operator, key, SLOW_FRESH, lambda: overview.throughput(self._app, operator, since=since, until=until)
        )

    def latencies(self, operator: Operator) -> list[Latency]:
        """Like ``overview.latencies``."""
        return self._get(operator, ("latencies",), SLOW_FRESH, lambda: overview.latencies(self._app, operator))

    def dead_groups(self, operator: Operator, *, since: datetime | None = None, limit: int = 1000) -> list[DeadGroup]:
        """Like ``dead_letters.dead_groups``."""
        return self._get(
            operator, ("dead", since, limit), SLOW_FRESH,
            lambda: dead_letters.dead_groups(self._app, operator, since=since, limit=limit),
        )  # fmt: skip

    def error_groups(self, operator: Operator, *, since: datetime | None = None, limit: int = 1000) -> list[ErrorGroup]:
        """Like ``dead_letters.error_groups``."""
        return self._get(
            operator, ("errors", since, limit), SLOW_FRESH,
            lambda: dead_letters.error_groups(self._app, operator, since=since, limit=limit),
        )  # fmt: skip

    def alerts(self, operator: Operator) -> list[Alert]:
        """Like ``alerts.alerts``."""
        return self._get(operator, ("troubles",), FRESH, lambda: alerts(self._app, operator))

    def targets(self, operator: Operator) -> list[TargetSummary]:
        """Like ``targets.list_targets``."""
        return self._get(operator, ("targets",), FRESH, lambda: list_targets(self._app, operator))

    def _get(self, operator: Operator, key: Hashable, fresh: timedelta, make: Callable[[], T]) -> T:
        """The cached value, if fresh and visible to the operator; else the result of ``make``, which is then cached."""
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
        """Refresh it in the background, unless that is under way."""
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
            # A caller that comes after the old value expired gets the error.
            log.warning("Cached report could not be refreshed: %s", error)
        except Exception:
            log.exception("Refresh of a cached report failed")
        finally:
            with self._lock:
                self._renewing.discard(key)

    def _count(self, key: Hashable, fresh: timedelta, make: Callable[[], object]) -> _CachedValue:
        """Count it, and cache it unless the ledger was changed meanwhile."""
        clock, drops = self._app.clock, self._kept.drops
        began = clock.monotonic()
        value = make()
        now = clock.monotonic()
        age = fresh_seconds(now - began, share=SHARE, least=fresh, most=MOST_FRESH)
        kept = _CachedValue(value, now + age)
        self._kept.put(key, kept, until=now + STALE * age, drops=drops)
        return kept
