#!/usr/bin/env bash
# pendulum 3.3.0: adding a day and an hour gives the same moment as adding the day, where clocks go forward.
#
# Guess: 02:30 plus a day and an hour is an hour after 02:30 plus a day.
# Behaviour: both are 03:30. Days and hours go onto the wall clock together, and only the sum is moved out of the gap,
# so 02:30 moves to 03:30 and 03:30 stays. In two calls the hour counts. whenever 0.11.0 counts it in one call.
# Seen on 2026-11-30: a day 03:30, a day and an hour 03:30, a day then an hour 04:30, whenever 04:30
# Why it matters: a reminder set "a day and an hour after" is due together with the one it should follow, once a year.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pendulum==3.3.0 whenever==0.11.0
venv/bin/python - <<'PY'
import sys

import pendulum
from whenever import ZonedDateTime

eve = pendulum.datetime(2026, 3, 7, 2, 30, tz="America/New_York")
moments = [eve.add(days=1), eve.add(days=1, hours=1), eve.add(days=1).add(hours=1)]
other = ZonedDateTime(2026, 3, 7, 2, 30, tz="America/New_York")
other = other.add(days=1, hours=1, disambiguation="compatible")
seen = [f"{moment:HH:mm}" for moment in moments] + [f"{other.hour:02}:{other.minute:02}"]
print("a day {}, a day and an hour {}, a day then an hour {}, whenever {}".format(*seen))
sys.exit(seen != ["03:30", "03:30", "04:30", "04:30"])
PY
