#!/usr/bin/env bash
# limits 5.8.0: parse() of two limits returns the first and drops the other without an error.
#
# Guess: parse("100/hour;5/minute") raises ValueError and names parse_many().
# Behaviour: it returns the first limit; what follows must still be well formed, or parse() does raise.
# Seen on 2026-11-30: ['100 per 1 hour', '5 per 1 minute', 'ValueError']
# Why it matters: a queue's limit is a line in somebody's configuration. The burst limit that was added behind the
# hourly one is checked for its spelling, then never applied.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check limits==5.8.0
venv/bin/python - <<'PY'
import sys

from limits import parse

seen = []
for text in ("100/hour;5/minute", "5/minute;100/hour", "100/hour;5/fortnight"):
    try:
        seen.append(str(parse(text)))
    except ValueError:
        seen.append("ValueError")
print(seen)
sys.exit(seen != ["100 per 1 hour", "5 per 1 minute", "ValueError"])
PY
