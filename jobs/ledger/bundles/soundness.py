"""Checks a SQLite file that came from elsewhere before its rows are used."""

from __future__ import annotations

from sqlalchemy import column, select, table, text

from jobs.database.sql import Executor


def fault_of(session: Executor) -> str | None:
    """What is wrong with a ledger in SQLite; None if it is sound: it has no code of its own, and no page is damaged."""
    schema = table("sqlite_master", column("type"), column("name"))
    code = session.execute(select(schema.c.type, schema.c.name).where(schema.c.type.in_(["trigger", "view"]))).first()
    if code is not None:
        return f"it has a {code.type} {code.name}"
    checked: str | None = session.execute(text("PRAGMA quick_check(1)")).scalar()
    return None if checked == "ok" else f"its pages are damaged ({checked})"
