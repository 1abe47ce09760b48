#!/usr/bin/env bash
# backoff 2.2.1: a list of waits that is shorter than max_tries ends the tries with it.
#
# Guess: interval=[0.01, 0.02] with max_tries=6 tries six times, and repeats the last wait.
# Behaviour: when the list is used up, the call is given up, whatever max_tries says.
# Seen on 2026-11-30: one number: 6 calls; two in a list: 3 calls
# Why it matters: the job ends after half of the tries that its decorator names. A list that somebody shortens to wait
# less takes tries away, and a longer one changes nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check backoff==2.2.1
venv/bin/python - <<'PY'
import sys

import backoff


def look(interval):
    calls = []

    @backoff.on_exception(backoff.constant, OSError, interval=interval, max_tries=6, jitter=None)
    def job():
        calls.append(1)
        raise OSError

    try:
        job()
    except OSError:
        return len(calls)


number, short_list = look(0.01), look([0.01, 0.02])
print(f"one number: {number} calls; two in a list: {short_list} calls")
sys.exit((number, short_list) != (6, 3))
PY
