#!/usr/bin/env bash
# celery 5.7.0: the priority of a chain is that of its first task, the priority of a chord is that of all its tasks.
#
# Guess: options for a canvas apply to each of its tasks, or to the first message alone, whichever canvas it is.
# Behaviour: chord(...).apply_async(priority=9, queue="urgent") hands both options on to its body. chain(...) with the
# same call sends its first task so, and the next ones with neither.
# Seen on 2026-11-30: options of the next task: chord (9, 'urgent'), chain (None, None)
# Why it matters: an urgent order that is a chain overtakes all others with its first step, and then its second waits
# behind them in the default queue.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check celery==5.7.0
venv/bin/python - <<'PY'
import sys

from celery import Celery, chain, chord

app = Celery("jobs", broker="memory://", backend="cache+memory://", set_as_current=False)


@app.task(name="step")
def step(*results):
    pass


def options_of_next(canvas):
    """Priority and queue that the first message holds for the task after it."""
    canvas.apply_async(priority=9, queue="urgent")
    with app.connection_for_write() as connection, connection.SimpleQueue("urgent") as queue:
        message = queue.get(timeout=5)
        message.ack()
        queue.clear()
    embedded = message.payload[2]
    following = embedded["chord"] or embedded["chain"][0]
    return following["options"].get("priority"), following["options"].get("queue")


seen = options_of_next(chord([step.s()] * 2, step.s())), options_of_next(chain(step.s(), step.s()))
print("options of the next task: chord {}, chain {}".format(*seen))
sys.exit(seen != ((9, "urgent"), (None, None)))
PY
