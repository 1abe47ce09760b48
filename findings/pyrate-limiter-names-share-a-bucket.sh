#!/usr/bin/env bash
# pyrate-limiter 4.5.1: all names that a limiter is asked for share one budget.
#
# Guess: try_acquire("alice") and try_acquire("bob") count apart; the first argument is the name of what is limited.
# Behaviour: the name is written into the one bucket and chooses nothing. With two a minute, two calls for one name
# leave none for the other. So do two functions with as_decorator() and names of their own. A factory must be written
# to route.
# Seen on 2026-12-01: alice True, alice True, bob False
# Why it matters: a limit for each customer is one for all of them. With one customer it tests well; later the busy one
# uses up what the others have, and their jobs wait.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyrate-limiter==4.5.1
venv/bin/python - <<'PY'
import sys

from pyrate_limiter import Duration, Limiter, Rate

limiter = Limiter(Rate(2, Duration.MINUTE))
seen = [(name, limiter.try_acquire(name, blocking=False)) for name in ("alice", "alice", "bob")]
print(", ".join(f"{name} {passed}" for name, passed in seen))
sys.exit([passed for _, passed in seen] != [True, True, False])
PY
