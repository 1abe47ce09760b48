#!/usr/bin/env bash
# cron-converter 2.0.2 with zoneinfo: a schedule of every 30 minutes pauses for an hour when clocks go back.
#
# Guess: "*/30 * * * *" fires every 30 minutes of real time, four times in the hour that happens twice.
# Behaviour: it fires twice in the first of the two hours and not at all in the second, as a fixed time of day should.
# croniter 7.0.0 and cronsim 2.8 fire four times.
# Seen on 2026-11-30: longest pause in minutes: {'cron-converter': 90, 'croniter': 30, 'cronsim': 30}
# Why it matters: a heartbeat or poll that must come twice an hour raises its alarm one night a year, and only where
# this library reads the schedule.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  cron-converter==2.0.2 croniter==7.0.0 cronsim==2.8 tzdata==2026.6
venv/bin/python - <<'PY'
import sys
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from cron_converter import Cron
from croniter import croniter
from cronsim import CronSim

start = datetime(2026, 11, 1, 0, 50, tzinfo=ZoneInfo("America/New_York"))
converter, iterator = Cron("*/30 * * * *").schedule(start), croniter("*/30 * * * *", start)
simulator = CronSim("*/30 * * * *", start)
following = {
    "cron-converter": converter.next,
    "croniter": lambda: iterator.get_next(datetime),
    "cronsim": lambda: next(simulator),
}
seen = {}
for name, take in following.items():
    moments = [take().timestamp() for _ in range(8)]
    seen[name] = round(max(later - sooner for sooner, later in pairwise(moments)) / 60)
print("longest pause in minutes:", seen)
sys.exit(seen != {"cron-converter": 90, "croniter": 30, "cronsim": 30})
PY
