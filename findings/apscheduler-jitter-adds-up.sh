#!/usr/bin/env bash
# APScheduler 3.11.3: an interval with jitter drifts, because each wait starts at the last moved firing.
#
# Guess: IntervalTrigger(hours=1, jitter=600) fires near each full hour, at most ten minutes after it.
# Behaviour: the jitter of a firing moves every later one too. It is only ever added, so an hourly job takes about 65
# minutes from one firing to the next, and its minute wanders over the hour. CronTrigger with jitter keeps its grid.
# Seen on 2026-11-30: after 200 firings the interval is 16.2 hours late, cron 0.1 hours
# Why it matters: jitter is there to spread many workers over a few minutes. Here the job runs 22 times a day instead of
# 24, and a report that is due each hour gets no run at all in some hours.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apscheduler==3.11.3
venv/bin/python - <<'PY'
import random
import sys
from datetime import datetime, timedelta, timezone

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

begin = datetime(2026, 1, 1, tzinfo=timezone.utc)


def hours_late(trigger):
    """How much later the 200th firing is than 199 hours after the begin."""
    random.seed(1)
    fired, now = None, begin
    for _ in range(200):
        fired = now = trigger.get_next_fire_time(fired, now)
    return round((fired - begin) / timedelta(hours=1) - 199, 1)


interval = hours_late(IntervalTrigger(hours=1, jitter=600, start_date=begin, timezone=timezone.utc))
cron = hours_late(CronTrigger(minute=0, jitter=600, timezone=timezone.utc))
print(f"after 200 firings the interval is {interval} hours late, cron {cron} hours")
sys.exit(not (interval > 10 and cron < 0.2))
PY
