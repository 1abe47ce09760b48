#!/usr/bin/env bash
# dateparser 1.5.0: on the last day of a month, a time of day that is to be in the future is weeks away or long past.
#
# Guess: with PREFER_DATES_FROM "future", "9:00" read at noon is nine o'clock of the next day, as on other days.
# Behaviour: on 31 January it is nine o'clock on 1 January, and on 31 December on 1 December of the next year: the day
# goes on to the first, and the month does not go on with it.
# Seen on 2026-11-30: {'2026-01-15': '2026-01-16', '2026-01-31': '2026-01-01', '2026-12-31': '2027-12-01'}
# Why it matters: "run it at 9:00", typed by a person and read by a scheduler. On twelve days of the year the job runs
# at once, since its time is past, or eleven months late.
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

noons = [datetime(2026, 1, 15, 12), datetime(2026, 1, 31, 12), datetime(2026, 12, 31, 12)]
seen = {}
for noon in noons:
    found = dateparser.parse("9:00", settings={"RELATIVE_BASE": noon, "PREFER_DATES_FROM": "future"})
    seen[str(noon.date())] = str(found.date())
print(seen)
sys.exit(seen != {"2026-01-15": "2026-01-16", "2026-01-31": "2026-01-01", "2026-12-31": "2027-12-01"})
PY
