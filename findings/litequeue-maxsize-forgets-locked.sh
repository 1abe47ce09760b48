#!/usr/bin/env bash
# litequeue 0.9 (the newest for Python 3.11): maxsize does not count messages that a worker holds, while qsize() does.
#
# Guess: with maxsize=2 a queue of one waiting and one held message is full, since qsize() is 2 and empty() is False.
# Behaviour: full() is False and a third message goes in; then qsize() is 3 and full() is True.
# Seen on 2026-11-30: [(2, False), (3, True)]
# Why it matters: maxsize reads like a bound on unfinished work and on the file. It bounds only the backlog: with slow
# jobs the queue holds maxsize messages and one more for every worker, or for every worker that died.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check litequeue==0.9
venv/bin/python - <<'PY'
import sys

from litequeue import LiteQueue

queue = LiteQueue(":memory:", maxsize=2)
queue.put("a")
queue.put("b")
queue.pop()
seen = [(queue.qsize(), queue.full())]
queue.put("c")
seen.append((queue.qsize(), queue.full()))
print(seen)
sys.exit(seen != [(2, False), (3, True)])
PY
