#!/usr/bin/env bash
# "*/90" in the minutes: cronsim 2.8, croniter 7.0.0 and cron-converter 2.0.2 take it and fire hourly, while
# cron-descriptor 2.2.1 describes it as every 90 minutes; APScheduler 3.11.3 alone refuses it.
#
# Guess: every parser refuses a step longer than its field, as APScheduler does.
# Behaviour: three fire once an hour, at minute 0, and the description promises something else.
# Seen on 2026-11-30: {'cronsim': 60, 'croniter': 60, 'cron-converter': 60, 'APScheduler': 'ValueError'},
# "Every 90 minutes"
# Why it matters: whoever writes it wants 90 minutes and the description confirms it. The job runs half as often again
# as was meant, and may overlap itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  cronsim==2.8 croniter==7.0.0 cron-converter==2.0.2 cron-descriptor==2.2.1 APScheduler==3.11.3
venv/bin/python - <<'PY'
import sys
from datetime import datetime

from apscheduler.triggers.cron import CronTrigger
from cron_converter import Cron
from cron_descriptor import get_description
from croniter import croniter
from cronsim import CronSim

expression, start = "*/90 * * * *", datetime(2026, 1, 1, 0, 1)
simulator, iterator = CronSim(expression, start), croniter(expression, start)
schedule = Cron(expression).schedule(start)
following = {
    "cronsim": lambda: next(simulator),
    "croniter": lambda: iterator.get_next(datetime),
    "cron-converter": schedule.next,
}
seen = {}
for name, take in following.items():
    first, second = take(), take()
    seen[name] = (second - first).total_seconds() / 60
try:
    CronTrigger.from_crontab(expression)
    seen["APScheduler"] = "accepted"
except ValueError:
    seen["APScheduler"] = "ValueError"
text = get_description(expression)
print(seen, f'"{text}"')
expected = {"cronsim": 60, "croniter": 60, "cron-converter": 60, "APScheduler": "ValueError"}
sys.exit((seen, text) != (expected, "Every 90 minutes"))
PY
