#!/usr/bin/env bash
# saq 0.26.4: retry_backoff=True alone makes no wait at all.
#
# Guess: a job with retry_backoff=True waits longer after each failure, from some first wait on.
# Behaviour: the first wait is retry_delay, which is 0, and its double is 0 as well. Only both together back off.
# Seen on 2026-11-30: retry_backoff alone {0.0}; with retry_delay=2 up to 20 s or more: True
# Why it matters: the job uses up all its retries within a moment, against a service that is down, and then is failed.
# The option that was to prevent this is set and seems to work.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check saq==0.26.4 typing_extensions==4.16.0
venv/bin/python - <<'PY'
import sys

from saq import Job


def waits(**options):
    job, seen = Job("report", retries=8, **options), []
    for job.attempts in range(1, 8):
        seen.extend(job.next_retry_delay() for _ in range(100))
    return seen


alone, both = set(waits(retry_backoff=True)), waits(retry_backoff=True, retry_delay=2)
print(f"retry_backoff alone {alone}; with retry_delay=2 up to 20 s or more: {max(both) > 20}")
sys.exit((alone, max(both) > 20) != ({0.0}, True))
PY
