#!/usr/bin/env bash
# stamina 26.1.0, backoff 2.2.1: one starts another attempt after the time for all of them is over.
#
# Guess: with timeout=0.4 no attempt starts later than 0.4 s after the first, as max_time of backoff does it.
# Behaviour: stamina looks at the clock before it waits, not at where the wait will end. backoff cuts the wait short.
# Seen on 2026-11-30: the last attempt starts after: stamina 0.6 s, backoff 0.4 s
# Why it matters: the timeout is set below the time limit or the lease of the job. With a longest wait of minutes the
# last attempt starts minutes after it, when another worker may hold the job.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check stamina==26.1.0 backoff==2.2.1
venv/bin/python - <<'PY'
import sys
import time

import backoff
import stamina


stamina.instrumentation.set_on_retry_hooks([])  # no log of the retries


def last_start(retry):
    """Seconds from the first attempt to the begin of the last one."""
    begins = []

    @retry
    def job():
        begins.append(time.monotonic())
        raise OSError

    try:
        job()
    except OSError:
        return begins[-1] - begins[0]


waits = {"wait_initial": 0.3, "wait_max": 0.3, "wait_jitter": 0}
late = last_start(stamina.retry(on=OSError, attempts=None, timeout=0.4, **waits))
cut = last_start(backoff.on_exception(backoff.constant, OSError, interval=0.3, max_time=0.4, jitter=None))
print(f"the last attempt starts after: stamina {late:.1f} s, backoff {cut:.1f} s")
sys.exit(not (late >= 0.6 and cut < 0.5))
PY
