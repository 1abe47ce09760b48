#!/usr/bin/env bash
# ratelimit 2.2.1: a limit of no calls lets one call through in each period.
#
# Guess: @limits(calls=0) refuses every call, or raises.
# Behaviour: the number is raised to at least 1 without a word.
# Seen on 2026-11-30: with calls=0: 1 call passed, then RateLimitException
# Why it matters: a limit that comes from a setting is put to 0 to pause the calls of a job, for instance while a
# service moves its data. One call still goes out each period, from each worker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ratelimit==2.2.1
venv/bin/python - <<'PY'
import sys

from ratelimit import RateLimitException, limits

passed = []


@limits(calls=0, period=60)
def call():
    passed.append(1)


try:
    for _ in range(3):
        call()
except RateLimitException as error:
    refusal = type(error).__name__
print(f"with calls=0: {len(passed)} call passed, then {refusal}")
sys.exit(len(passed) != 1)
PY
