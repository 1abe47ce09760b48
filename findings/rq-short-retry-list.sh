#!/usr/bin/env bash
# rq 3.0.0: a list of retry intervals that is too short is stretched at its beginning.
#
# Guess: Retry(max=5, interval=[10, 60]) waits 10, 60, 60, 60, 60 s. Repeat, in the same library, repeats the last one.
# Behaviour: the first interval is repeated until as many retries are left as the list is long.
# Seen on 2026-11-30: Retry waits [10, 10, 10, 10, 60], Repeat waits [10, 60, 60, 60, 60]
# Why it matters: such a list is written to back off. A job that fails because a service is down tries again every ten
# seconds almost to the end, and takes the long wait once, before its last try.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rq==3.0.0 redis==8.1.0
venv/bin/python - <<'PY'
import sys

import redis
from rq.job import Job, Retry
from rq.queue import Queue
from rq.repeat import Repeat

connection = redis.Redis(port=1)  # never used: nothing here sends a command
job = Queue("reports", connection=connection).create_job(print, retry=Retry(max=5, interval=[10, 60]))
retried = []
while job.retries_left:
    retried.append(job.get_retry_interval())
    job.retries_left -= 1
repeated = [Repeat.get_interval(count, [10, 60]) for count in range(5)]
print("Retry waits", retried, "Repeat waits", repeated)
sys.exit((retried, repeated) != ([10, 10, 10, 10, 60], [10, 60, 60, 60, 60]))
PY
