#!/usr/bin/env bash
# cron-descriptor 2.2.1 spreads the "#2" of one weekday over its neighbours; cronsim 2.8 does not.
#
# Guess: "1,3#2" reads as "every Monday and the second Wednesday of the month", which is how it fires.
# Behaviour: the text says the second Monday as well. cronsim fires on all four Mondays and one Wednesday.
# Seen on 2026-11-30: "At 09:00 AM, on the second Monday and Wednesday of the month", days 2, 9, 11, 16, 23
# Why it matters: the description is what an operator reads to check a schedule. This one hides three runs a month.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cron-descriptor==2.2.1 cronsim==2.8
venv/bin/python - <<'PY'
import sys
from datetime import datetime
from itertools import takewhile

from cron_descriptor import get_description
from cronsim import CronSim

expression = "0 9 * * 1,3#2"
text = get_description(expression)
days = [slot.day for slot in takewhile(lambda slot: slot.month == 2, CronSim(expression, datetime(2026, 1, 31, 12)))]
print(f'"{text}", days {", ".join(map(str, days))}')
sys.exit((text, days) != ("At 09:00 AM, on the second Monday and Wednesday of the month", [2, 9, 11, 16, 23]))
PY
