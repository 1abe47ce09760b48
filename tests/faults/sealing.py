"""Processes of an application with sealed arguments: some that enqueue and perform, one that rotates and may be killed.

``python -m tests.faults.sealing URL KEYS load`` enqueues and performs, ``… people`` enqueues for two persons in turns;
both print a line for each run, some tens a second, until their standard input ends. ``… rotate WHERE`` rotates; it
kills itself with SIGKILL ``between`` two batches, ``inside`` one, or ``never``.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jobs
from jobs.ledger.queries import sealed_rows
from jobs.operations.audit.operator import Operator
from jobs.operations.seals import rotation
from jobs.testing import Ledger


class SealedCharge(jobs.Job, kind="faults.SealedCharge", seal=True):
    n: int
    notes: str

    def perform(self) -> dict[str, Any]:
        if self.notes != notes_of(self.n):
            raise AssertionError("the notes of another run")
        return {"n": self.n, "said": self.run.once("ask", lambda: self.notes)}


class SealedVisit(SealedCharge, kind="faults.SealedVisit", subject="person"):
    person: int


def notes_of(n: int) -> str:
    return f"canary-{n:06}"


def until_told() -> Iterator[int]:
    """Numbers with a pause between, so that the test performs what was enqueued; until standard input ends."""
    for n in count():
        if select.select([sys.stdin], [], [], 0.02)[0]:
            return
        yield n


def load(ledger: Ledger) -> None:
    for n in until_told():
        run = SealedCharge(n=n, notes=notes_of(n)).enqueue()
        if n % 2:
            ledger.perform(run.id)
        print(run.id, flush=True)


def people(ledger: Ledger) -> None:
    for n in until_told():
        person = (987_654, 7)[n % 2]
        print(person, SealedVisit(person=person, n=n, notes=notes_of(n)).enqueue().id, flush=True)


def rotate(ledger: Ledger, where: str) -> None:
    rotation.BATCH = 20
    changed = count(1)
    plain = sealed_rows.put_text

    def put_text(*given: Any) -> Any:
        if where == "inside" and next(changed) == 15:
            die()
        return plain(*given)

    sealed_rows.put_text = put_text  # type: ignore[assignment]

    def progress(done: rotation.Rotation) -> None:
        if where == "between" and done.values:
            die()

    print(rotation.rotate(ledger.app, Operator("ada"), progress=progress).is_whole)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    url, keys, what, *rest = sys.argv[1:]
    with Ledger(url, seal_keys_file=Path(keys)) as made:
        {"load": load, "people": people, "rotate": rotate}[what](made, *rest)  # type: ignore[operator]
