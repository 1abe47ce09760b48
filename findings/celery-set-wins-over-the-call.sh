#!/usr/bin/env bash
# celery 5.7.0: a countdown that is set on a signature wins over the eta that the call gives.
#
# Guess: what apply_async() gets overrides what set() left on the signature, as it does for other options.
# Behaviour: a countdown in the call does override it. An eta in the call is taken in and then replaced by now plus the
# countdown.
# Seen on 2026-11-30: set(countdown=5) then countdown=3600: in 3600 s; then eta in an hour: in 5 s
# Why it matters: a signature with a short countdown of its own is given out by a library or a beat entry. Who sends it
# with an eta for tonight sees it run at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check celery==5.7.0
venv/bin/python - <<'PY'
import sys
from datetime import datetime, timedelta, timezone

from celery import Celery

app = Celery("jobs", broker="memory://", set_as_current=False)


@app.task(name="report")
def report():
    pass


def seconds_until(**options):
    """In how many seconds the message that is sent says that the task may start."""
    report.s().set(countdown=5).apply_async(**options)
    with app.connection_for_write() as connection, connection.SimpleQueue("celery") as queue:
        message = queue.get(timeout=5)
        message.ack()
    eta = datetime.fromisoformat(message.headers["eta"])
    return round((eta - datetime.now(timezone.utc)).total_seconds() / 5) * 5


countdown = seconds_until(countdown=3600)
eta = seconds_until(eta=datetime.now(timezone.utc) + timedelta(hours=1))
print(f"set(countdown=5) then countdown=3600: in {countdown} s; then eta in an hour: in {eta} s")
sys.exit((countdown, eta) != (3600, 5))
PY
