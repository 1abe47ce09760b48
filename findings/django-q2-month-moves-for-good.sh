#!/usr/bin/env bash
# django-q2 1.11.1: a monthly task of the 31st runs on the 29th for ever after its first February.
#
# Guess: in a short month it runs on the last day, and on the 31st again where there is one.
# Behaviour: each date is made from the one before it, so what a short month took away is gone; a yearly task of
# 29 February is one of 28 February from then on, in leap years too.
# Seen on 2026-11-30: monthly 02-29 03-29 04-29 05-29, yearly 2025-02-28 2026-02-28 2027-02-28 2028-02-28
# Why it matters: invoices and closings at the end of a month. From March on they run two days early, and no setting
# has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check django==5.2.19 django-q2==1.11.1
venv/bin/python - <<'PY'
import sys
from datetime import datetime, timezone

import django
from django.conf import settings

database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(
    DATABASES={"default": database},
    INSTALLED_APPS=["django_q"],
    Q_CLUSTER={"retry": 100, "timeout": 50, "orm": "default"},
    USE_TZ=True,
)
django.setup()

from django_q.models import Schedule  # noqa: E402, the settings come first


def dates(kind, first, form):
    task, moment = Schedule(func="math.sqrt", schedule_type=kind), first
    for _ in range(4):
        moment = task.calculate_next_run(moment)
        yield moment.strftime(form)


monthly = " ".join(dates(Schedule.MONTHLY, datetime(2024, 1, 31, 9, tzinfo=timezone.utc), "%m-%d"))
yearly = " ".join(dates(Schedule.YEARLY, datetime(2024, 2, 29, 9, tzinfo=timezone.utc), "%Y-%m-%d"))
print(f"monthly {monthly}, yearly {yearly}")
expected = ("02-29 03-29 04-29 05-29", "2025-02-28 2026-02-28 2027-02-28 2028-02-28")
sys.exit((monthly, yearly) != expected)
PY
