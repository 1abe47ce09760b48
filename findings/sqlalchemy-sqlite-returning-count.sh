#!/usr/bin/env bash
# SQLAlchemy 2.1.9, aiosqlite 0.22.1: rowcount of an UPDATE with RETURNING is 0 with sqlite3 and right with aiosqlite.
#
# Guess: two drivers of one database, under one library, count the changed rows in the same way.
# Behaviour: sqlite3 knows the count only once the rows are read, and SQLAlchemy has asked before that. It stays 0 after
# all rows are read. aiosqlite has read them already.
# Seen on 2026-11-30: {'sqlite': (5, 0), 'sqlite+aiosqlite': (5, 5)} as rows returned and rowcount
# Why it matters: "rowcount == 0: somebody else has claimed it" is the usual check after a claim. Here five jobs are
# claimed, their worker lets go of them at once, and the tests of the asynchronous half pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check SQLAlchemy==2.1.9 greenlet==3.5.6 aiosqlite==0.22.1
venv/bin/python - <<'PY'
import asyncio
import sys

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

metadata = MetaData()
jobs = Table("jobs", metadata, Column("id", Integer, primary_key=True), Column("state", String))
claim = jobs.update().where(jobs.c.state == "queued").values(state="running").returning(jobs.c.id)


def look(connection):
    metadata.create_all(connection)
    connection.execute(jobs.insert(), [{"state": "queued"}] * 5)
    result = connection.execute(claim)
    return len(result.all()), result.rowcount


def plain(url):
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return look(connection)
    finally:
        engine.dispose()


async def asynchronous(url):
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


seen = {"sqlite": plain("sqlite://"), "sqlite+aiosqlite": asyncio.run(asynchronous("sqlite+aiosqlite://"))}
print(seen, "as rows returned and rowcount")
sys.exit(seen != {"sqlite": (5, 0), "sqlite+aiosqlite": (5, 5)})
PY
