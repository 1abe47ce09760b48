"""The counters of this process, in files that outlive it, in the format of prometheus_client.

Uses prometheus_client's files but not its metric classes. Those take their folder from an environment variable, which
programs started by a job would inherit and count into; and they cost several times as much. An application's own use of
prometheus_client is not affected.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.utils import floatToGoString

from jobs.clock import new_token
from jobs.observe.catalogue import Metric


class Counts:
    """Counters and histograms of one process; safe for several threads.

    Args:
        folder: the folder of the files; the supervisor reads them.
        buckets: upper bounds of every histogram, ascending, without infinity.
    """

    def __init__(self, folder: Path, *, buckets: Sequence[float]) -> None:
        name = f"{os.getpid()}-{new_token().hex[:8]}"  # Process ids are reused; this name is not.
        self._files = {kind: MmapedDict(str(folder / f"{kind}_{name}.db")) for kind in ("counter", "histogram")}
        self._bounds = [float(one) for one in buckets]
        self._edges = [floatToGoString(one) for one in (*self._bounds, float("inf"))]
        self._values: dict[str, float] = {}
        self._keys: dict[tuple[str, tuple[str, ...], str], str] = {}
        self._lock = (
            threading.RLock()
        )  # Reentrant: a signal handler that enqueues may interrupt the thread that holds it.

    def add(self, metric: Metric, labels: tuple[str, ...], amount: float = 1.0) -> None:
        """Raise a counter; by zero to create it."""
        with self._lock:
            self._raise("counter", self._key(metric, labels), amount)

    def observe(self, metric: Metric, labels: tuple[str, ...], seconds: Iterable[float]) -> None:
        """Add many values to a histogram at once; an empty list creates it."""
        # Sorted once and divided at each bound, which for many values takes a third of the time of a look for each.
        values = sorted(seconds)
        below = [0, *(bisect_right(values, bound) for bound in self._bounds), len(values)]
        hits = [upper - lower for lower, upper in pairwise(below)]
        total = sum(values)
        with self._lock:
            for edge, hit in zip(self._edges, hits, strict=True):
                if hit or not total:
                    self._raise("histogram", self._key(metric, labels, edge), hit)
            self._raise("histogram", self._key(metric, labels, "sum"), total)

    def close(self) -> None:
        """Close the files; their values stay."""
        with self._lock:
            for file in self._files.values():
                file.close()

    def _raise(self, kind: str, key: str, amount: float) -> None:
        value = self._values[key] = self._values.get(key, 0.0) + amount
        self._files[kind].write_value(key, value, 0.0)

    def _key(self, metric: Metric, labels: tuple[str, ...], part: str = "") -> str:
        known = self._keys.get((metric.name, labels, part))
        if known is None:
            known = self._keys[metric.name, labels, part] = _write_key(metric, labels, part)
        return known


def _write_key(metric: Metric, labels: tuple[str, ...], part: str) -> str:
    if metric.type == "counter":
        key = mmap_key(metric.family, metric.name, [*metric.labels], [*labels], metric.help)
    elif part == "sum":
        key = mmap_key(metric.name, f"{metric.name}_sum", [*metric.labels], [*labels], metric.help)
    else:
        names, values = [*metric.labels, "le"], [*labels, part]
        key = mmap_key(metric.name, f"{metric.name}_bucket", names, values, metric.help)
    return str(key)
