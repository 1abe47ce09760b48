"""An application that exits hard, again and again, at each of nine points around its own commit.

``python -m tests.faults.exiting SETTINGS FIRST TIMES SEED``: every try is a forked process that writes its own row
(``orders``) and enqueues an ``Effect`` in one transaction, and ends by ``os._exit`` at its point.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

from jobs import boot
from jobs.settings import Settings
from tests.faults.work import Effect

POINTS = (
    "before_begin",
    "after_own_row",
    "before_insert",
    "after_insert",
    "after_enqueue",
    "before_commit",
    "commit_sent",
    "before_publish",
    "after_publish",
)
ROLLED_BACK, UNKNOWN = POINTS[:6], "commit_sent"
"""At the first six points nothing is committed; at the next the outcome is unknown; after it everything is
committed."""


def leave() -> None:
    os._exit(9)


def leave_before(owner: Any, name: str) -> None:
    setattr(owner, name, lambda *given, **named: leave())


def leave_after(owner: Any, name: str) -> None:
    done: Callable[..., Any] = getattr(owner, name)

    def do(*given: Any, **named: Any) -> None:
        done(*given, **named)
        leave()

    setattr(owner, name, do)


def arm(point: str, engine: Engine) -> None:
    """Make this process end at ``point``."""

    def on_insert(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "into job_runs" in statement.lower():
            leave()

    def on_commit(connection: Any) -> None:
        if point == "commit_sent":
            # Sent, and gone before the answer.
            connection.connection.driver_connection.pgconn.send_query(b"COMMIT")
        leave()

    if point in ("before_insert", "after_insert"):
        event.listen(engine, "before_cursor_execute" if point == "before_insert" else "after_cursor_execute", on_insert)
    elif point in ("before_commit", "commit_sent"):
        event.listen(engine, "commit", on_commit)
    elif point == "before_publish":
        leave_before(boot.current().ready, "add")
    elif point == "after_publish":
        leave_after(boot.current().ready, "add")


def order(n: int, point: str, url: str, seed: int) -> None:
    """One try; never returns."""
    engine = create_engine(url)
    arm(point, engine)
    with Session(engine) as session:
        if point == "before_begin":
            leave()
        session.execute(text("insert into orders (n, point) values (:n, :point)"), {"n": n, "point": point})
        if point == "after_own_row":
            leave()
        Effect(n=n, seed=seed).enqueue(session=session)
        if point == "after_enqueue":
            leave()
        session.commit()


def main(settings_json: str, first: str, times: str, seed: str) -> None:
    settings = Settings.model_validate_json(settings_json)
    for n in range(int(first), int(first) + int(times) * len(POINTS)):
        point = POINTS[n % len(POINTS)]
        child = os.fork()
        if child == 0:
            try:
                app = boot.configure(boot.build(settings))
                order(n, point, app.database.url.render_as_string(hide_password=False), int(seed))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != 9:
            sys.exit(f"try {n} did not end at {point}")


if __name__ == "__main__":
    main(*sys.argv[1:])
