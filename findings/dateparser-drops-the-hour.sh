#!/usr/bin/env bash
# dateparser 1.5.0: a number that it does not understand is left out, and the rest is the answer.
#
# Guess: "tomorrow at 9" is nine o'clock, or None as for "monday 9"; "in 1 hour 30" is 90 minutes, or None.
# Behaviour: the hour of the moment is kept for the first and the 30 is lost in the second, without a sign of it.
# Seen on 2026-11-30: {'tomorrow at 9': '02-01 12:00', 'tomorrow at 9:00': '02-01 09:00', 'monday 9': None,
# 'in 1 hour 30': '01-31 13:00', 'in 1 hour 30 minutes': '01-31 13:30'}
# Why it matters: times of runs that people type. A check for None does not catch it, and the job runs at the hour at
# which somebody happened to type.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check dateparser==1.5.0
venv/bin/python - <<'PY'
import sys
from datetime import datetime

import dateparser

settings = {"RELATIVE_BASE": datetime(2026, 1, 31, 12)}
seen = {}
for text in ("tomorrow at 9", "tomorrow at 9:00", "monday 9", "in 1 hour 30", "in 1 hour 30 minutes"):
    found = dateparser.parse(text, settings=settings)
    seen[text] = found and f"{found:%m-%d %H:%M}"
print(seen)
sys.exit(list(seen.values()) != ["02-01 12:00", "02-01 09:00", None, "01-31 13:00", "01-31 13:30"])
PY
