#!/usr/bin/env bash
# cron-descriptor 2.2.1 says "or", cronsim 2.8 explains "and", cron-converter 2.0.2 means "and": one expression.
#
# Guess: where day of month and weekday are both given, all of them fire on either (as cron does), and say so.
# Behaviour: cronsim fires on either and explains it with the word "and"; cron-descriptor says "or"; cron-converter
# fires only on a Friday the 13th.
# Seen on 2026-11-30: cronsim 10 days from January to the end of February ("on the 13th day of month and on Friday"),
# cron-converter 1 day, cron-descriptor "on day 13 of the month, or on Friday"
# Why it matters: the two texts tell an operator opposite things, and each is right for another library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  cron-descriptor==2.2.1 cronsim==2.8 cron-converter==2.0.2
venv/bin/python - <<'PY'
import sys
from datetime import datetime

from cron_converter import Cron
from cron_descriptor import get_description
from cronsim import CronSim

expression, start, end = "0 0 13 * 5", datetime(2026, 1, 1), datetime(2026, 3, 1)


def days(take):
    count = 0
    while take() < end:
        count += 1
    return count


simulator = CronSim(expression, start)
seen = {
    "cronsim": (days(lambda: next(simulator)), simulator.explain().partition("00:00 ")[2]),
    "cron-converter": days(Cron(expression).schedule(start).next),
    "cron-descriptor": get_description(expression).partition(", ")[2],
}
print(seen)
sys.exit(seen != {
    "cronsim": (10, "on the 13th day of month and on Friday"),
    "cron-converter": 1,
    "cron-descriptor": "on day 13 of the month, or on Friday",
})
PY
