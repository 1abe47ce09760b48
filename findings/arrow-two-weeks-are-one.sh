#!/usr/bin/env bash
# arrow 1.4.0: what is left is rounded down by almost half, and not read back as what it was.
#
# Guess: `humanize` rounds to the nearest unit, so that 47 hours are 2 days and 13 days 23 hours are 2 weeks.
# Behaviour: the smaller number is taken always, but for months and years, where 49 days are 2 months.
# Seen on 2026-11-30: {'47 h': 'in a day', '13 d 23 h': 'in a week', '119 min': 'in an hour', '49 d': 'in 2 months'}
# Why it matters: dashboards that say when a backlog is done or a token expires. "In an hour" was two hours, and "in 2
# months" was seven weeks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check arrow==1.4.0
venv/bin/python - <<'PY'
import sys

import arrow

now = arrow.get(2026, 1, 1)
lengths = {
    "47 h": {"hours": 47},
    "13 d 23 h": {"days": 13, "hours": 23},
    "119 min": {"minutes": 119},
    "49 d": {"days": 49},
}
seen = {name: now.shift(**length).humanize(now) for name, length in lengths.items()}
print(seen)
sys.exit(list(seen.values()) != ["in a day", "in a week", "in an hour", "in 2 months"])
PY
