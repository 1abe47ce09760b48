"""The time and memory of ``jobledger compat`` over many waiting runs of many kinds, on PostgreSQL and SQLite."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import datetime

from sqlalchemy import text

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import POSTGRESQL, SQLITE
from benchmarks.kit.places import Place, places
from jobs import Job

KINDS = 40
CHUNK = 50_000
RENAMED = "Compat39"
"""The kind whose stored runs have a field of another name than the code."""
FILL = {
    "postgresql": """
        insert into job_runs (id, kind, queue, priority, arguments, arguments_version, state, attempt, charged, crashes,
            abandonments, max_attempts, run_at, created_at, state_at, has_followups)
        select gen_random_uuid(), 'Compat' || (n % 40), 'queue' || (n % 5), 0,
            json_build_object('order_id', n, 'customer', 'customer ' || n, 'at', now(),
                'lines', json_build_array(n, 2)),
            1, 'queued', 0, 0, 0, 0, 3, now(), now() - n * interval '1 second', now() - n * interval '1 second', false
        from generate_series(cast(:first as int), :last) as n""",
    "sqlite": """
        with recursive counted(n) as (select :first union all select n + 1 from counted where n < :last)
        insert into job_runs (id, kind, queue, priority, arguments, arguments_version, state, attempt, charged, crashes,
            abandonments, max_attempts, run_at, created_at, state_at, has_followups)
        select lower(hex(randomblob(16))), 'Compat' || (n % 40), 'queue' || (n % 5), 0,
            json_object('order_id', n, 'customer', 'customer ' || n, 'at', '2026-03-01T12:00:00Z',
                'lines', json_array(n, 2)),
            1, 'queued', 0, 0, 0, 0, 3, '2026-03-01 12:00:00.000000',
            strftime('%Y-%m-%d %H:%M:%f', 1770000000 - n, 'unixepoch') || '000',
            strftime('%Y-%m-%d %H:%M:%f', 1770000000 - n, 'unixepoch') || '000', 0
        from counted""",
}


class Order(Job):
    """The fields that each of the kinds has."""

    customer: str
    at: datetime
    lines: list[int]


def perform(self: Job) -> None:
    """Nothing: compat performs no run."""


for _number in range(KINDS):
    _name = f"Compat{_number}"
    _field = "order" if _name == RENAMED else "order_id"
    _made = type(_name, (Order,), {"__annotations__": {_field: "int"}, "__module__": __name__, "perform": perform})
    globals()[_name] = _made


def measure(place: Place, given: argparse.Namespace, figures: Figures) -> None:
    for first in range(1, given.runs + 1, CHUNK):
        with place.app.database.write() as connection:
            last = min(first + CHUNK - 1, given.runs)
            connection.execute(text(FILL[place.app.database.dialect]), {"first": first, "last": last})
    with place.app.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("analyze"))
    for name, options in (("sampled", []), ("every run", ["--all"])):
        argv = [sys.executable, "-m", "admin_cli.main", "compat", "--import", "benchmarks.compat", "-o", "json"]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*argv, *options], env=place.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        (row,) = [one for one in told["data"] if one["breaks"]]
        assert (process.returncode, row["kind"], row["field"]) == (6, RENAMED, "order"), row
        checked = sum(one["checked"] for one in told["data"])
        figures.add(f"compat, {name}", place.mode, "s", took)
        figures.add(f"compat, {name}, processor", place.mode, "s", used.ru_utime + used.ru_stime)
        figures.add(f"compat, {name}, memory", place.mode, "MB", used.ru_maxrss / 1024)
        figures.add(f"compat, {name}, runs checked", place.mode, "runs", checked)


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for _ in range(given.repeats):
            for mode in (POSTGRESQL, SQLITE):
                with there.ledger(mode) as place:
                    measure(place, given, figures)


if __name__ == "__main__":
    program("compat", run, runs=(1_000_000, "waiting runs"))
