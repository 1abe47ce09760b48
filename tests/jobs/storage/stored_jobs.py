"""Jobs with stored values, and what tests of them share."""

from __future__ import annotations

import hashlib
import io
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

import jobs
from jobs.app import App
from jobs.database.models import JobBlob, JobBlobChunk, JobBlobRef
from jobs.ledger.runs.prune import prune_ended
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.states import RunState

ADA = Operator("ada")
DAY = timedelta(days=1, minutes=1)
BIG = random.Random(24).randbytes(3 * 2**20 + 17)
"""Four chunks."""
seen: list[Any] = []


class Scan(jobs.Job, kind="stored.Scan", retry=jobs.Retry(max_attempts=3, first=timedelta(seconds=1))):
    document: jobs.Stored[bytes]
    fails: bool = False

    def perform(self) -> Any:
        with self.document.open() as file:
            seen.append(hashlib.sha256(file.read()).hexdigest())
        if self.fails and self.run.attempt == 1:
            raise ValueError("again")
        return {"copy": jobs.Stored.from_file(io.BytesIO(b"read " + self.document.read()[:4]), name="head")}


class Words(jobs.Job, kind="stored.Words"):
    text: jobs.Stored[str]
    parts: tuple[jobs.Stored[dict[str, int]], ...] = ()
    pages: int = 0

    def idempotency_key(self) -> str | None:
        return "words" if self.pages else None

    def perform(self) -> None:
        seen.append((self.text.load(), [one.load() for one in self.parts]))


class Gathers(jobs.Job, kind="stored.Gathers"):
    def perform(self) -> Any:
        return len(self.run.gather("all", [Words(text=jobs.Stored("child"))]))


def rows(app: App) -> tuple[int, int, int]:
    """How many values, chunks and references there are."""
    with app.database.read() as connection:
        tables = (JobBlob, JobBlobChunk, JobBlobRef)
        one, two, three = (connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
        return one, two, three


def prune(app: App, state: RunState = RunState.SUCCEEDED) -> int:
    with app.database.write() as connection:
        return prune_ended(connection, state, after=timedelta(seconds=-1))


def replay(app: App, run_id: UUID, *states: str) -> None:
    which = make_selector(app, SelectorInput(ids=(str(run_id),), states=states))
    act = ReplayAction(app=app, operator=ADA)
    carry_out(app, ADA, act, plan(app, ADA, act, which))
