#!/usr/bin/env bash
# pydantic 2.14.4 writes 400 days as a year and 35 days, and isodate 0.7.2 reads that as a calendar year.
#
# Guess: a timedelta has days, so its JSON is "P400D".
# Behaviour: pydantic writes "P1Y35D" with 365 days to the year. Readers that know calendar years, as ISO 8601 means
# them, add a year: isodate, and PostgreSQL's interval. From June 2027 that is a day too late.
# Seen on 2026-11-30: "P1Y35D": 2028-07-06, not 2028-07-05
# Why it matters: how long to keep results or wait for a deadline travels as JSON. Two services that both follow the
# standard purge the same run on different days.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.4 isodate==0.7.2
venv/bin/python - <<'PY'
import sys
from datetime import date, timedelta

import isodate
from pydantic import TypeAdapter

keep = timedelta(days=400)
text = TypeAdapter(timedelta).dump_json(keep).decode()
ended = date(2027, 6, 1)
read, meant = ended + isodate.parse_duration(text.strip('"')), ended + keep
print(f"{text}: {read}, not {meant}")
sys.exit((text, read, meant) != ('"P1Y35D"', date(2028, 7, 6), date(2028, 7, 5)))
PY
