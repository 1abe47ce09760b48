#!/usr/bin/env bash
# rq 3.0.0 with timeout-decorator 0.5.0 or stopit 1.1.2: a time limit within a job switches off the job's own limit.
#
# Guess: a job with job_timeout=1 that makes a call under a limit of 5 s, and then hangs, is stopped after one second.
# Behaviour: all three set the one alarm that a process has. At its end the inner limit sets it to zero, whatever was
# set before, so nothing stops the job any more.
# Seen on 2026-12-01: {'bare': 'failed', 'timeout-decorator': 'finished', 'stopit': 'finished'}
# Why it matters: the careful job, which limits its HTTP call, is the one that can hang for ever and hold its worker.
# The log shows neither limit, and the job without a limit of its own is stopped as it should be.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rq==3.0.0 timeout-decorator==0.5.0 \
    stopit==1.1.2 'fakeredis[lua]==2.41.0'
cat > jobs.py <<'PY'
import time

import stopit
import timeout_decorator


@timeout_decorator.timeout(5)
def call():
    return "answer"


def bare():
    time.sleep(2)


def decorated():
    call()
    time.sleep(2)


def stopped():
    with stopit.SignalTimeout(5):
        pass
    time.sleep(2)
PY
venv/bin/python - <<'PY'
import logging
import sys

import fakeredis
from rq import Queue, SimpleWorker

sys.path.insert(0, "")
import jobs

logging.disable(logging.CRITICAL)
client = fakeredis.FakeRedis()


def look(function):
    queue = Queue(connection=client)
    job = queue.enqueue(function, job_timeout=1)
    SimpleWorker([queue], connection=client).work(burst=True)
    return job.get_status(refresh=True).value


seen = {"bare": look(jobs.bare), "timeout-decorator": look(jobs.decorated), "stopit": look(jobs.stopped)}
print(seen)
sys.exit(seen != {"bare": "failed", "timeout-decorator": "finished", "stopit": "finished"})
PY
