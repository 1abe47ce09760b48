#!/usr/bin/env bash
# parsedatetime 2.6: the year of an ISO moment is read as a time of today.
#
# Guess: "2027-03-05T08:15:00Z" is that moment, or it is not understood, which the second value would say with 0.
# Behaviour: the result is 20:27 of the day on which it is read, and the second value says that a time was understood.
# With a space in place of the T, it is the moment that was meant.
# Seen on 2026-11-30: {'2027-03-05T08:15:00Z': ('2026-11-30 20:27', 2), '2027-03-05T08:15': ('2026-11-30 20:27', 2),
# '2027-03-05 08:15:00': ('2027-03-05 08:15', 3)}
# Why it matters: a field for the time of a run takes what people type, and what an API or a log line shows is pasted
# there. The run is due this evening and not in March, and no check of the result finds it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check parsedatetime==2.6
venv/bin/python - <<'PY'
import sys
from datetime import datetime

import parsedatetime

calendar = parsedatetime.Calendar()
seen = {}
for text in ("2027-03-05T08:15:00Z", "2027-03-05T08:15", "2027-03-05 08:15:00"):
    moment, understood = calendar.parseDT(text, datetime(2026, 11, 30, 9))
    seen[text] = (f"{moment:%Y-%m-%d %H:%M}", understood)
print(seen)
today = ("2026-11-30 20:27", 2)
sys.exit(list(seen.values()) != [today, today, ("2027-03-05 08:15", 3)])
PY
