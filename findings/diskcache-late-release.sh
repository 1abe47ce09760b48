#!/usr/bin/env bash
# diskcache 5.6.3: a lock with an expiry that is released too late releases the lock of the next owner.
#
# Guess: a release after the expiry does nothing or raises, since the lock has a new owner by then.
# Behaviour: Lock and BoundedSemaphore store no owner. The late release deletes the entry of the new one, and a third
# gets in beside it.
# Seen on 2026-11-30: after the late release, locked: False, free places of the semaphore: 1
# Why it matters: the expiry is there for workers that die. One that only is slow takes the lock away from the job that
# runs now, so two run at once, and each later release passes the mistake on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check diskcache==5.6.3
venv/bin/python - <<'PY'
import sys
import time
from pathlib import Path

import diskcache

with diskcache.Cache(str(Path.cwd() / "cache")) as cache:
    slow, current = (diskcache.Lock(cache, "report", expire=seconds) for seconds in (0.2, 60))
    slow.acquire()
    time.sleep(0.3)
    current.acquire()
    assert current.locked()
    slow.release()
    locked = current.locked()

    slow, current = (diskcache.BoundedSemaphore(cache, "mail", value=1, expire=seconds) for seconds in (0.2, 60))
    slow.acquire()
    time.sleep(0.3)
    current.acquire()
    slow.release()
    free = cache.get("mail")
print(f"after the late release, locked: {locked}, free places of the semaphore: {free}")
sys.exit((locked, free) != (False, 1))
PY
