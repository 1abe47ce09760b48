#!/usr/bin/env bash
# SQLAlchemy 2.1.9: a correlated EXISTS in the WHERE of an upsert is not correlated, not even with correlate().
#
# Guess: on_conflict_do_update(where=~exists().where(paused.c.id == jobs.c.id).correlate(jobs)) asks about the row that
# is in conflict, as the same condition does in update().where(…).
# Behaviour: the subquery gets the table in its own FROM, so it asks whether any row at all has a match.
# Seen on 2026-11-30: update: [('free', 'new'), ('held', 'old')], upsert: [('free', 'old'), ('held', 'old')]
# Why it matters: "replace the waiting job unless its queue is paused" replaces no job once any queue is paused. There is
# no error, and a test with one row passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9
venv/bin/python - <<'PY'
import sys

from sqlalchemy import Column, MetaData, String, Table, create_engine, delete, exists, insert, select, update
from sqlalchemy.dialects import sqlite

metadata = MetaData()
jobs = Table("jobs", metadata, Column("id", String, primary_key=True), Column("work", String))
paused = Table("paused", metadata, Column("id", String, primary_key=True))
is_free = ~exists().where(paused.c.id == jobs.c.id).correlate(jobs)
rows = [{"id": "free", "work": "new"}, {"id": "held", "work": "new"}]


def after(change):
    with create_engine("sqlite://").begin() as connection:
        metadata.create_all(connection)
        connection.execute(delete(jobs))
        connection.execute(insert(jobs), [{**row, "work": "old"} for row in rows])
        connection.execute(insert(paused), [{"id": "held"}])
        change(connection)
        return [tuple(row) for row in connection.execute(select(jobs).order_by(jobs.c.id))]


upsert = sqlite.insert(jobs)
upsert = upsert.on_conflict_do_update(index_elements=["id"], set_={"work": upsert.excluded.work}, where=is_free)
updated = after(lambda connection: connection.execute(update(jobs).values(work="new").where(is_free)))
upserted = after(lambda connection: connection.execute(upsert, rows))
print(f"update: {updated}, upsert: {upserted}")
sys.exit((updated[0][1], upserted[0][1]) != ("new", "old"))
PY
