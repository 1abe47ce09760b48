#!/usr/bin/env bash
# limits 5.8.0: with a fixed window a refused hit still spends its cost; the two other strategies do not.
#
# Guess: hit() is all or nothing: when it returns False, nothing was taken, whatever the strategy.
# Behaviour: after 3 of 5 are spent, a hit of cost 4 is refused by all three. Then a hit of cost 2, which fits, is
# refused by the fixed window alone.
# Seen on 2026-11-30: {'FixedWindow': False, 'MovingWindow': True, 'SlidingWindowCounter': True}
# Why it matters: jobs of different weight that share a limit. One heavy job that is refused and tried again closes the
# window to the light ones that would have fitted, and its retries keep it closed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check limits==5.8.0
venv/bin/python - <<'PY'
import sys

from limits import parse, storage, strategies

limit = parse("5/hour")
seen = {}
for name in ("FixedWindow", "MovingWindow", "SlidingWindowCounter"):
    limiter = getattr(strategies, f"{name}RateLimiter")(storage.MemoryStorage())
    assert limiter.hit(limit, "mail", cost=3)
    assert not limiter.hit(limit, "mail", cost=4)
    seen[name] = limiter.hit(limit, "mail", cost=2)
print(seen)
sys.exit(seen != {"FixedWindow": False, "MovingWindow": True, "SlidingWindowCounter": True})
PY
