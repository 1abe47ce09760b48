"""Runs of actors, and how long tests wait for them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from jobs.database.models import JobRun
from jobs.dramatiq import LedgerBroker
from tests.waiting import wait_until

JOIN = 100_000
"""Milliseconds that a test waits for a broker's queue to be done."""


def runs(broker: LedgerBroker) -> list[Any]:
    with broker.app.database.read() as connection:
        return list(connection.execute(select(JobRun).order_by(JobRun.created_at, JobRun.id)).mappings())


def wait(fact: Any) -> bool:
    return wait_until(fact, seconds=60)
