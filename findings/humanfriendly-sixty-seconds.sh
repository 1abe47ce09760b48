#!/usr/bin/env bash
# humanfriendly 10.0: format_timespan() rounds the last unit alone and says "60 seconds".
#
# Guess: 59.996 s reads "1 minute", 3599.996 s "1 hour".
# Behaviour: the seconds are rounded after the larger units were taken off, so they reach 60 and stay there. The result
# does not survive its own reader: "59 minutes and 60 seconds" is refused by parse_timespan().
# Seen on 2026-11-30: ['60 seconds', '59 minutes and 60 seconds']
# Why it matters: runs that end at a time limit take a little less than a round number, so the odd text is the one that
# an operator sees most often next to a limit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check humanfriendly==10.0
venv/bin/python - <<'PY'
import sys

from humanfriendly import InvalidTimespan, format_timespan, parse_timespan

seen = [format_timespan(seconds) for seconds in (59.996, 3599.996)]
print(seen)
try:
    parse_timespan(seen[1])
    refused = False
except InvalidTimespan:
    refused = True
sys.exit(seen != ["60 seconds", "59 minutes and 60 seconds"] or not refused)
PY
