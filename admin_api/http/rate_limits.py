"""Rate limits for changes by a token or a user; each API process counts by itself.

Token buckets: a burst may have a sixth of a minute's requests, and the bucket refills evenly.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from math import ceil

from jobs.app import App
from jobs.operations.access.access_errors import TooManyRequests
from jobs.operations.audit.operator import Operator

BURST = 6
"""The part of a minute's requests that a burst may have. Source: decision."""
MOST_KEPT = 10_000
"""The number of buckets that a process keeps; a dropped one starts full again. Source: decision, some megabytes."""


class RateLimits:
    """The remaining requests of each token and user. Safe to share among threads."""

    def __init__(self, app: App) -> None:
        self._clock = app.clock
        self._limits = (app.settings.api_token_rate, app.settings.api_user_rate)
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, operator: Operator) -> None:
        """Count a request that changes something.

        Raises:
            TooManyRequests: the credential, or its user, sent too many requests; this one was not counted.
        """
        credential = operator.credential
        keys = (f"credential {credential.id}" if credential else "", f"user {operator.name}")
        with self._lock:
            now = self._clock.monotonic()
            limits = [(key, rate) for key, rate in zip(keys, self._limits, strict=True) if key and rate]
            left = {key: (rate, self._of(key, rate, now)) for key, rate in limits}
            wait = max((60 * (1 - has) / rate for rate, has in left.values()), default=0.0)
            if wait > 0:
                seconds = ceil(wait)
                raise TooManyRequests(
                    "Too many changes in a short time.", retry_after_seconds=seconds,
                    hint=f"Wait {seconds} s, or use a bulk action: /v1/replays, /v1/cancellations, /v1/purges.",
                )  # fmt: skip
            for key, (_, has) in left.items():
                self._left[key] = (has - 1, now)
                self._left.move_to_end(key)
            while len(self._left) > MOST_KEPT:
                self._left.popitem(last=False)

    def _of(self, key: str, rate: int, now: float) -> float:
        most = max(rate / BURST, 1.0)
        has, since = self._left.get(key, (most, now))
        return min(has + (now - since) * rate / 60, most)
