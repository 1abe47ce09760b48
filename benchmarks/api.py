"""Response times of the API over a million runs beside a worker at full load, and what they cost the worker.

``benchmarks.web`` does the same for the pages.

The API is a process of its own, as `jobledger api serve` runs it. Rounds alternate: the worker alone, then beside
requests.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from urllib.parse import quote

from benchmarks.kit.figures import Figures, program
from benchmarks.kit.modes import FLEET
from benchmarks.kit.places import places
from benchmarks.kit.requests import OPTIONS, fill, measure, serving
from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs import inspect

LISTS = (
    "runs", "runs?state=dead", "runs?kind=Kind3", "runs?kind=Rare", "runs?queue=queue1&state=succeeded",
    "runs?key=key-17",
    "runs?state=dead&count=true", "runs?limit=500", "runs?where=" + quote("state:dead kind:Kind* age:>1h"),
    "dead-letters", "dead-letter-groups", "errors", "queues", "queues/queue1", "workers", "kinds", "kinds/Kind3",
    "schedules", "audit-entries", "statistics", "users", "tokens", "replays", "cancellations", "purges", "restorations",
    "runs/{run}", "runs/{run}/attempts", "runs/{run}/steps", "runs/{run}/children", "runs/{run}/replays",
    "runs/{run}/followups", "runs/{run}/lineage", "runs/{run}/explanation", "runs/{waiting}/explanation",
)  # fmt: skip


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(FLEET) as place:
        fill(place, given.runs)
        headers, paths = prepare(place.app)
        with serving(place) as base:
            measure("lists of the API", place, base, paths, headers, given, figures)


def prepare(app: App) -> tuple[dict[str, str], dict[str, str]]:
    """An admin's headers, and the address of each list."""
    shell = Operator("bench")
    create_user(app, shell, "ada", password="a long enough password", role="admin")
    _, secret = create_token(
        app, shell, user="ada", name="bench", permissions=sorted(Permission), lasts=timedelta(days=1)
    )
    dead = inspect.list_runs(app, shell, Selector(states=("dead",)), limit=1).runs[0]
    waits = inspect.list_runs(app, shell, Selector(states=("queued",)), limit=1).runs[0]
    paths = {one: f"/v1/{one}".format(run=dead.id, waiting=waits.id) for one in LISTS}
    return {"Authorization": f"Bearer {secret}"}, paths


if __name__ == "__main__":
    program("api", run, waiting=(40_000, "more, for the worker"), **OPTIONS)
