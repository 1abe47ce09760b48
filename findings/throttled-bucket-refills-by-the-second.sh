#!/usr/bin/env bash
# throttled-py 3.5.0: a token bucket gets its tokens once a second, all at the change of the clock's second.
#
# Guess: a bucket of five a second gets a token each 0.2 s, as its documentation draws it.
# Behaviour: it counts whole seconds. After five calls it refuses until the clock's next second, however near that is,
# and then lets five pass in one moment. With gcra the same quota is spread evenly.
# Seen on 2026-11-30: let pass together after the first five: token_bucket 5, leaking_bucket 5, gcra 1
# Why it matters: a bucket is chosen over a window to spread calls. Here ten calls can pass within some milliseconds
# around the change of a second, twice what the service allows, from all workers at the same moment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check throttled-py==3.5.0
venv/bin/python - <<'PY'
import sys
import time

from throttled import Throttled, rate_limiter, store


def burst(algorithm):
    """How many calls pass in the first 50 ms in which any passes again, with all tokens spent."""
    quota = rate_limiter.per_sec(5, burst=5)
    limiter = Throttled(key="mail", using=algorithm, quota=quota, store=store.MemoryStore())
    time.sleep(1.05 - time.time() % 1)  # begin just after a change of the second, for the same count in each run
    while not limiter.limit().limited:
        pass
    limit = time.monotonic() + 3
    while limiter.limit().limited and time.monotonic() < limit:
        time.sleep(0.005)
    passed, end = 1, time.monotonic() + 0.05
    while time.monotonic() < end:
        passed += not limiter.limit().limited
        time.sleep(0.005)
    return passed


seen = {algorithm: burst(algorithm) for algorithm in ("token_bucket", "leaking_bucket", "gcra")}
print("let pass together after the first five:", ", ".join(f"{name} {count}" for name, count in seen.items()))
sys.exit(seen != {"token_bucket": 5, "leaking_bucket": 5, "gcra": 1})
PY
