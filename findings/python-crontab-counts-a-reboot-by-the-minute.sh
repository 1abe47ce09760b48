#!/usr/bin/env bash
# python-crontab 3.4.0: the frequency of a line is not how often cron starts it.
#
# Guess: a line "@reboot" has no frequency (0 or None), and "0 0 1 * 1", the first of a month or a Monday, has 63 in 2026.
# Behaviour: "@reboot" is counted as every minute of the year, and day and weekday are joined by "and": once in 2026.
# cron, and cronsim beside it, start the second line when either of the two fits.
# Seen on 2026-11-30: {'@reboot': 525600, '0 0 1 * 1': 1, '0 0 31 * *': 7} and cronsim's 63 for the second.
# Why it matters: the number is used to find lines that run too often, and to say how many runs a schedule will make
# before it is moved to a scheduler. One line is reported as the busiest of all, another as nearly unused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-crontab==3.4.0 cronsim==2.8
venv/bin/python - <<'PY'
import sys
from datetime import datetime
from itertools import takewhile

from cronsim import CronSim
from crontab import CronTab

seen = {}
for text in ("@reboot", "0 0 1 * 1", "0 0 31 * *"):
    job = CronTab(tab="").new(command="report")
    job.setall(text)
    seen[text] = job.frequency(2026)
slots = CronSim("0 0 1 * 1", datetime(2025, 12, 31, 23, 59))
either = len(list(takewhile(lambda slot: slot.year == 2026, slots)))
print(seen, either)
sys.exit(seen != {"@reboot": 525600, "0 0 1 * 1": 1, "0 0 31 * *": 7} or either != 63)
PY
