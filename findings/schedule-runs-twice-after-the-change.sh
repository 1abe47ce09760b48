#!/usr/bin/env bash
# schedule 1.2.2: the day after clocks go forward, a daily job runs twice.
#
# Guess: every().day.at("02:30", "Europe/Berlin") runs once a day; on the day without that hour at 03:30, or not at
# all.
# Behaviour: that day it is 03:30, and the day after it is 01:30 and then 02:30 as well. In autumn it runs once.
# Seen on 2026-12-01: day and hour in March 2026: 28 02:30, 29 03:30, 30 01:30, 30 02:30, 31 02:30
# Why it matters: nights are when invoices and clean-ups run, between two and three most of all. The change itself
# looks well on Sunday morning; the second run comes on Monday, when nobody thinks of it any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check schedule==1.2.2 pytz==2026.2 \
    time-machine==3.6.0 tzdata==2026.6
venv/bin/python - <<'PY'
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import schedule
import time_machine

runs, berlin = [], ZoneInfo("Europe/Berlin")


def job():
    runs.append(datetime.now(timezone.utc).astimezone(berlin).strftime("%d %H:%M"))


with time_machine.travel(datetime(2026, 3, 28, tzinfo=timezone.utc), tick=False) as clock:
    scheduler = schedule.Scheduler()
    scheduler.every().day.at("02:30", "Europe/Berlin").do(job)
    for _ in range(4 * 24 * 2):  # four days, looked at each half hour
        scheduler.run_pending()
        clock.shift(30 * 60)
print("day and hour in March 2026:", ", ".join(runs))
sys.exit(runs != ["28 02:30", "29 03:30", "30 01:30", "30 02:30", "31 02:30"])
PY
