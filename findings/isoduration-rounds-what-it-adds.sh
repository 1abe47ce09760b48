#!/usr/bin/env bash
# isoduration 20.11.0: a duration that is read exactly is rounded when it is added to a moment.
#
# Guess: "PT1.5H" is read as 1.5 hours, so a moment plus it is 90 minutes later.
# Behaviour: each part is rounded to a whole number of its own unit first: 1.5 hours add two hours, half an hour adds an
# hour, half a second adds a second, and a day and a half adds two days. Written back, the duration is still "PT1.5H".
# Seen on 2026-11-30: {'PT1.5H': '2:00:00', 'PT0.5H': '1:00:00', 'PT0.5S': '0:00:01', 'P1.5D': '2 days, 0:00:00',
# 'PT1H30M': '1:30:00'}
# Why it matters: delays and leases in settings and payloads. What was checked and stored looks right, and the run is due
# half an hour late; "PT1H30M", the same duration, is on time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check isoduration==20.11.0
venv/bin/python - <<'PY'
import sys
from datetime import datetime

from isoduration import format_duration, parse_duration

start = datetime(2026, 1, 1)
texts = ("PT1.5H", "PT0.5H", "PT0.5S", "P1.5D", "PT1H30M")
seen = {text: str((start + parse_duration(text)) - start) for text in texts}
print(seen)
written = [format_duration(parse_duration(text)) for text in texts]
expected = ["2:00:00", "1:00:00", "0:00:01", "2 days, 0:00:00", "1:30:00"]
sys.exit(list(seen.values()) != expected or written != list(texts))
PY
