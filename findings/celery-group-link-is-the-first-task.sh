#!/usr/bin/env bash
# celery 5.7.0: a callback that is linked to a group belongs to its first task, and gets no result.
#
# Guess: group(...).link(callback) calls it once when all are done, or once for each task with its result.
# Behaviour: it is called when the first of them is done, without a result, whatever the others do. link= in the call
# is refused with "use a chord", and link_error() goes to each of them.
# Seen on 2026-12-01: order: 1, callback(), 2, 3
# Why it matters: "mail the report when all parts are there" goes out after the first part. As the callback gets no
# result, nothing in it shows that the others are missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check celery==5.7.0
venv/bin/python - <<'PY'
import sys

from celery import Celery, group

app = Celery("jobs", broker="memory://", backend="cache+memory://", set_as_current=False)
app.conf.task_always_eager = True
order = []


@app.task(name="part")
def part(number):
    order.append(str(number))


@app.task(name="callback")
def callback(*results):
    order.append(f"callback({', '.join(map(str, results))})")


parts = group(part.s(number) for number in (1, 2, 3))
parts.link(callback.s())
parts.apply_async()
print("order:", ", ".join(order))
sys.exit(order != ["1", "callback()", "2", "3"])
PY
