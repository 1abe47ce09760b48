"""A ledger of many runs, 99 % of them succeeded, and how long an operator waits for an answer there.

``python -m benchmarks.million URL [COUNT]`` fills the (migrated, empty) ledger at URL and prints a table.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, text

from jobs import boot, schema
from jobs.clock import new_run_id, new_token
from jobs.database import Database
from jobs.models import JobRun
from jobs.settings import Settings

CHUNK = 5_000
KINDS = [f"Kind{number}" for number in range(20)]


def fill_ledger(database: Database, count: int, *, now: datetime | None = None) -> None:
    """Write ``count`` runs straight into the table, over the last thirty days; then ANALYZE."""
    end = now or datetime.now(UTC)
    step = timedelta(days=30) / count
    first: UUID | None = None
    for start in range(0, count, CHUNK):
        rows = []
        for number in range(start, min(start + CHUNK, count)):
            row = _row(number, end - step * (count - number), first)
            first = first or row["id"]  # type: ignore[assignment]
            rows.append(row)
        with database.write() as connection:
            connection.execute(insert(JobRun), rows)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("analyze"))


def _row(number: int, moment: datetime, parent: UUID | None) -> dict[str, object]:
    place = number % 1000
    is_rare = place == 999
    row: dict[str, object] = {
        "id": new_run_id(),
        "kind": "Rare" if is_rare else KINDS[number % len(KINDS)],
        "queue": "rare" if is_rare else ("default", "mail", "slow")[number % 3],
        "priority": 0,
        "arguments": json.dumps({"number": number}),
        "arguments_version": 1,
        "attempt": 1,
        "charged": 0,
        "crashes": 0,
        "abandonments": 0,
        "max_attempts": 3,
        "run_at": moment,
        "created_at": moment,
        "started_at": moment,
        "state_at": moment,
        "finished_at": moment,
        "state": "succeeded",
        "cause": None,
        "token": None,
        "lease_until": None,
        "worker": None,
        "key": f"key-{number}" if place in (5, 6, 17) else None,
        "parent_id": parent if place == 18 else None,
        "error_type": None,
        "error_message": None,
        "fingerprint": None,
        "has_followups": False,
    }
    if place < 5 or is_rare:
        group = number // 1000 % 16
        row |= {
            "state": "dead",
            "cause": "poison" if place == 4 else "exhausted",
            "error_type": "ValueError",
            "error_message": f"no order {number}",
            "fingerprint": f"{group:012x}",
        }
    elif place < 7:
        row |= {"state": "queued", "attempt": 0, "started_at": None, "finished_at": None}
    elif place == 7:
        row |= {"state": "running", "token": new_token(), "lease_until": moment + timedelta(days=1), "worker": "w",
                "finished_at": None}  # fmt: skip
    elif place == 8:
        row |= {"state": "cancelled"}
    return row


def main() -> None:
    from jobs.ledger.selectors import Selector
    from jobs.operations import explain, inspect, letters
    from jobs.operations.operator import Operator

    url, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    app = boot.build(Settings.read(database_url=url))
    schema.upgrade(app.database)
    ada = Operator("bench")
    status = inspect.status(app, ada)
    if not status.total("dead"):
        began = time.perf_counter()
        fill_ledger(app.database, count)
        print(f"filled {count:,} in {time.perf_counter() - began:.0f} s")
    dead = inspect.list_runs(app, ada, Selector(states=("dead",)), limit=1).runs[0]
    waiting = inspect.list_runs(app, ada, Selector(states=("queued",)), limit=1).runs[0]
    questions: dict[str, Callable[[], object]] = {
        "status": lambda: inspect.status(app, ada),
        "list": lambda: inspect.list_runs(app, ada, Selector()),
        "list --state dead": lambda: inspect.list_runs(app, ada, Selector(states=("dead",))),
        "list --kind Rare": lambda: inspect.list_runs(app, ada, Selector(kinds=("Rare",))),
        "list --key": lambda: inspect.list_runs(app, ada, Selector(keys=("key-17",))),
        "show (short id)": lambda: inspect.find_run(app, ada, str(dead.id)[-8:]),
        "why (dead)": lambda: explain.explain(app, ada, str(dead.id)),
        "why (ready)": lambda: explain.explain(app, ada, str(waiting.id)),
        "dlq groups": lambda: letters.dead_groups(app, ada),
        "errors": lambda: letters.error_groups(app, ada),
    }
    for name, ask in questions.items():
        took = []
        for _ in range(5):
            began = time.perf_counter()
            ask()
            took.append((time.perf_counter() - began) * 1000)
        print(f"{name:20} first {took[0]:7.1f} ms   median {sorted(took)[2]:7.1f} ms")
    app.close()


if __name__ == "__main__":
    main()
