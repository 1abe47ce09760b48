"""A long import, chunk by chunk, for the fault suite: what ``docs/jobs.md`` shows, on a table without a key."""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import Column, Integer, MetaData, Table, insert

from jobs import Job, Retry

METADATA = MetaData()
ROWS = Table("imported", METADATA, Column("n", Integer, nullable=False))


class ImportRows(Job, timeout=timedelta(hours=1), retry=Retry(max_attempts=1000, first=timedelta(milliseconds=50))):
    total: int
    size: int
    seconds: float
    """How long it takes at least, however fast its rows are written."""

    def perform(self) -> int:
        rows = self.run.cursor("rows")
        while rows.value < self.total:
            upto = min(rows.value + self.size, self.total)
            with rows.advance(to=upto) as session:
                session.execute(insert(ROWS), [{"n": n} for n in range(rows.value, upto)])
            self.run.progress(rows.value, self.total)
            time.sleep(self.seconds * self.size / self.total)
        return int(rows.value)
