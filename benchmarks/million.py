"""Operators' commands over a ledger of many runs, 99 % of them succeeded: how long each takes.

``python -m benchmarks.million URL [COUNT]`` fills the (migrated, empty) ledger at URL and prints a table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from benchmarks.kit.fill import fill_ledger
from jobs import boot
from jobs.migration import schema
from jobs.settings import Settings


def main() -> None:
    from jobs.ledger.queries.selectors import Selector
    from jobs.operations.audit.operator import Operator
    from jobs.operations.insight import dead_letters
    from jobs.operations.runs import explain, inspect

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
        "dlq groups": lambda: dead_letters.dead_groups(app, ada),
        "errors": lambda: dead_letters.error_groups(app, ada),
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
