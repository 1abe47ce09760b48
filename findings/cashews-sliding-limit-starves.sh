#!/usr/bin/env bash
# cashews 7.6.0: while callers try more often than the limit, its sliding limit lets nobody through at all.
#
# Guess: slice_rate_limit(limit=2, period="1s") lets two calls a second through, whatever is refused beside them.
# Behaviour: a refused call takes a place in the window too. As soon as an old one leaves it, the next refused one has
# its place, so the window stays full until the callers are silent for a while. rate_limit does not do that.
# Seen on 2026-12-01: passed in 4 s, tried every 50 ms: {'rate_limit': 8, 'slice_rate_limit': 2}
# Why it matters: workers that are refused try again, which is what keeps them refused. A queue that is limited to 100
# calls a minute makes 100 and then stops, until somebody stops the workers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cashews==7.6.0
venv/bin/python - <<'PY'
import asyncio
import sys
import time

from cashews import RateLimitError, cache

cache.setup("mem://")


async def passed(limit):
    @limit(limit=2, period="1s")
    async def call():
        return True

    count, end = 0, time.monotonic() + 4
    while time.monotonic() < end:
        try:
            count += await call()
        except RateLimitError:
            pass
        await asyncio.sleep(0.05)
    return count


async def look():
    return {limit.__name__: await passed(limit) for limit in (cache.rate_limit, cache.slice_rate_limit)}


seen = asyncio.run(look())
print(f"passed in 4 s, tried every 50 ms: {seen}")
sys.exit(not (seen["slice_rate_limit"] == 2 and seen["rate_limit"] >= 6))
PY
