#!/usr/bin/env bash
# persist-queue 1.1.0: None can be put into a queue, and taking it out reports an empty queue and loses it.
#
# Guess: put(None) raises, or get() returns None.
# Behaviour: put() stores it and size counts it. get() takes the row out and then raises Empty; a queue with
# acknowledgements counts it as taken, with no item in hand to acknowledge.
# Seen on 2026-11-30: size 2, then ['Empty', 'job', 'Empty'], unacknowledged 2
# Why it matters: a worker loop that ends or sleeps at Empty stops although jobs wait behind the None, and the None
# stays unacknowledged until the queue is opened again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check persist-queue==1.1.0
venv/bin/python - <<'PY'
import sys
from pathlib import Path

import persistqueue

queue = persistqueue.SQLiteAckQueue(str(Path.cwd() / "queue"), auto_commit=True)
queue.put(None)
queue.put("job")
size = queue.size
taken = []
for _ in range(3):
    try:
        taken.append(queue.get(block=False))
    except persistqueue.Empty:
        taken.append("Empty")
print(f"size {size}, then {taken}, unacknowledged {queue.unack_count()}")
sys.exit((size, taken, queue.unack_count()) != (2, ["Empty", "job", "Empty"], 2))
PY
