#!/usr/bin/env bash
# pycron 3.3.0, the cron matcher that taskiq's scheduler uses: it takes "7" and "5/15" and never fires them.
#
# Guess: 7 is Sunday, as in most crontabs; 5/15 raises ValueError, or means 5, 20, 35 and 50.
# Behaviour: neither raises, and neither matches any minute of two years.
# Seen on 2026-11-30: {'0 0 * * 7': 0, '0 0 * * 0': 104, '5/15 * * * *': 0}
# Why it matters: the same text fires in cron, croniter and cronsim. Moved to taskiq, the schedule is accepted without
# a word and its job never runs again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pycron==3.3.0
venv/bin/python - <<'PY'
import sys
from datetime import datetime, timedelta

import pycron

fired = {"0 0 * * 7": 0, "0 0 * * 0": 0, "5/15 * * * *": 0}
start = datetime(2026, 1, 1)
for quarter in range(730 * 24 * 12):  # every five minutes of two years, which include every minute named above
    moment = start + timedelta(minutes=5 * quarter)
    if moment.hour == 0:
        for text in fired:
            fired[text] += pycron.is_now(text, moment)
print(fired)
sys.exit(fired != {"0 0 * * 7": 0, "0 0 * * 0": 104, "5/15 * * * *": 0})
PY
