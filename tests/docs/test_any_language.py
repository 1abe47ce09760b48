"""docs/any-language.md: its SQL runs as it stands."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import psycopg

from jobs.definition import registry
from jobs.definition.published import published_kinds
from jobs.ledger.published_kinds import publish_kinds
from tests.conftest import MakeApp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "any-language.md"


def test_the_sql_of_the_page_runs_as_it_stands(pg_database: str, make_app: MakeApp, monkeypatch) -> None:
    app = make_app(pg_database)
    monkeypatch.setattr("jobs.boot._app", app)
    text = PAGE.read_text(encoding="utf-8")
    (declared,) = re.findall(r"```python\n(.*?)```", text, re.S)
    statements = re.findall(r"```sql\n(.*?)```", text, re.S)
    monkeypatch.delitem(registry._classes, "SendInvoice", raising=False)  # Another test may have imported its own.
    space: dict[str, object] = {"__name__": "any_language"}
    exec(compile(declared, str(PAGE), "exec"), space)
    with app.database.write() as connection:
        publish_kinds(connection, [one for one in published_kinds(1000) if one.kind == "SendInvoice"])

    with closing(psycopg.connect(pg_database)) as sql:
        for one in statements:
            sql.execute(one)
        sql.commit()
        found = sql.execute(
            "select arguments ->> 'order_id', state, queue, run_at > now(), tags ->> 0 from job_runs order by id"
        ).fetchall()

    assert found == [
        ("7", "queued", "mail", False, None),
        ("8", "queued", "mail", True, "eu"),
        ("9", "cancelled", "mail", False, None),
    ]
    registry.forget("SendInvoice")
