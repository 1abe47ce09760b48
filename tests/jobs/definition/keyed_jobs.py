"""Jobs with keys of every kind, for the tests of keys."""

from __future__ import annotations

from datetime import timedelta

from jobs import FOREVER, Job, Within

HOUR = timedelta(hours=1)


class Sync(Job):
    """Holds its key while it is live."""

    account: int
    amount: int = 0

    def idempotency_key(self) -> str:
        return f"account:{self.account}"

    def perform(self) -> int:
        return self.amount


class Hourly(Job, unique=Within(HOUR)):
    account: int
    amount: int = 0

    def idempotency_key(self) -> str:
        return str(self.account)

    def perform(self) -> None: ...


class Welcome(Job, unique=FOREVER):
    account: int

    def idempotency_key(self) -> str:
        return str(self.account)

    def perform(self) -> None: ...


class Plain(Job):
    n: int = 0

    def perform(self) -> None: ...
