#!/usr/bin/env bash
# celery-redbeat 2.4.2: a recurrence rule is stored with the offset of its first day, not with its zone.
#
# Guess: a daily rule from nine o'clock in Berlin, written to Redis and read again, is nine o'clock in Berlin every day.
# A plain moment keeps its zone by name when it is written by the same encoder.
# Behaviour: of the rule's start only seconds and "60 minutes from UTC" are written. Read again, the rule is at
# ten o'clock Berlin time from the day on which clocks go forward.
# Seen on 2026-11-30: before ['09:00+01:00', '09:00+01:00', '09:00+02:00'] after ['09:00+01:00', '09:00+01:00',
# '09:00+01:00'], and for the moment 'Europe/Berlin'
# Why it matters: the schedule is right when it is tried, and an hour late for half of each year. A schedule that is
# declared in code is written in this way at every start, so that the zone in the code is no help.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check celery==5.7.0 celery-redbeat==2.4.2 tzdata==2026.6
venv/bin/python - <<'PY'
import json
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedules import rrule


def stored(value):
    return json.loads(json.dumps(value, cls=RedBeatJSONEncoder), cls=RedBeatJSONDecoder)


start = datetime(2026, 3, 27, 9, tzinfo=ZoneInfo("Europe/Berlin"))
rule = rrule("DAILY", dtstart=start, count=3)
before, after = ([slot.isoformat()[11:16] + slot.isoformat()[19:] for slot in one.rrule] for one in (rule, stored(rule)))
zone = str(stored(start).tzinfo)
print("before", before, "after", after, zone)
winter, summer = "09:00+01:00", "09:00+02:00"
sys.exit((before, after, zone) != ([winter, winter, summer], [winter, winter, winter], "Europe/Berlin"))
PY
