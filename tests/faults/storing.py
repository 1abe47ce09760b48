"""Processes of an application that stores values: one that measures its memory, and one that dies at a named point.

``python -m tests.faults.storing URL memory PATH`` sends a file through enqueue, retry and replay, and prints the memory
that it took. ``python -m tests.faults.storing URL kill POINT`` enqueues and collects until it reaches the point, where
it kills itself with SIGKILL.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import jobs
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.runtime import fault_points
from jobs.storage.collector import collect_values
from jobs.testing import Ledger

MEGABYTE = 2**20


class StoredDocument(jobs.Job, kind="faults.StoredDocument", retry=jobs.Retry(max_attempts=2)):
    document: jobs.Stored[bytes]
    fails: bool = False

    def perform(self) -> str:
        digest = hashlib.sha256()
        with self.document.open() as file:
            while data := file.read(65536):
                digest.update(data)
        if self.fails and self.run.attempt == 1:
            raise ValueError("once more")
        return digest.hexdigest()


def resident() -> int:
    """The most memory that this process had since ``forget_peak``, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def forget_peak() -> None:
    """Count the peak from now on: imports and migrations had one of their own. Linux only."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def memory(url: str, path: str) -> dict[str, Any]:
    with Ledger(url) as ledger:
        # What every process imports and opens does not count.
        small = StoredDocument(document=jobs.Stored(b"small"), fails=True).enqueue()
        ledger.drain(advance=timedelta(hours=1))
        replay(ledger, small.id)
        ledger.drain(advance=timedelta(hours=1))
        forget_peak()
        before = resident()
        run = StoredDocument(document=jobs.Stored.from_file(path), fails=True).enqueue()
        done = ledger.drain(advance=timedelta(hours=1))
        replay(ledger, run.id)
        done += ledger.drain(advance=timedelta(hours=1))
        return {
            "outcomes": [one.outcome.value for one in done],
            "results": sorted({str(one.run.result) for one in done if one.run.result}),
            "before_mb": before // MEGABYTE,
            "grown_mb": (resident() - before) // MEGABYTE,
        }


def replay(ledger: Ledger, run_id: Any) -> None:
    ada = Operator("ada")
    which = make_selector(ledger.app, SelectorInput(ids=(str(run_id),), states=("succeeded",)))
    act = ReplayAction(app=ledger.app, operator=ada)
    carry_out(ledger.app, ada, act, plan(ledger.app, ada, act, which))


def kill(url: str, point: str) -> None:
    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with Ledger(url) as ledger:
        StoredDocument(document=jobs.Stored(os.urandom(3 * MEGABYTE))).enqueue()
        jobs.Stored(os.urandom(3 * MEGABYTE)).upload()  # No run will ever refer to it.
        fault_points.on_reached = reach
        StoredDocument(document=jobs.Stored(os.urandom(3 * MEGABYTE))).enqueue()
        ledger.advance(timedelta(days=1, minutes=1))
        collect_values(ledger.app)


if __name__ == "__main__":
    if sys.argv[2] == "memory":
        print(json.dumps(memory(sys.argv[1], sys.argv[3])))
    else:
        kill(sys.argv[1], sys.argv[3])
