#!/usr/bin/env bash
# dramatiq 2.2.1: SkipMessage raised in a middleware's before_ack leaves the message without an acknowledgement.
#
# Guess: SkipMessage is dramatiq's own signal to leave a message alone, so there it is either ignored or an ordinary
# refusal to ack.
# Behaviour: the worker logs "You've found a bug in Dramatiq" and goes on. The actor ran once, the message stays
# unfinished and comes again after the next restart.
# Seen on 2026-11-30: ran 1, unfinished 1, logged 1
# Why it matters: join() and a drain at shutdown wait for ever, and every deployment performs the job once more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check dramatiq==2.2.1
venv/bin/python - <<'PY'
import logging
import sys
import time

import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, SkipMessage


class Skips(Middleware):
    def before_ack(self, broker, message):
        raise SkipMessage


class Counts(logging.Handler):
    logged = 0

    def emit(self, record):
        Counts.logged += "found a bug in Dramatiq" in record.getMessage()


logger = logging.getLogger("dramatiq")
logger.addHandler(Counts())
logger.propagate = False
broker, ran = StubBroker(middleware=[Skips()]), []
dramatiq.set_broker(broker)
job = dramatiq.actor(lambda: ran.append(1), actor_name="job")
worker = dramatiq.Worker(broker, worker_timeout=50)
worker.start()
job.send()
limit = time.monotonic() + 20
while not Counts.logged and time.monotonic() < limit:
    time.sleep(0.05)
unfinished = broker.queues["default"].unfinished_tasks
worker.stop()
print(f"ran {len(ran)}, unfinished {unfinished}, logged {Counts.logged}")
sys.exit((len(ran), unfinished, Counts.logged) != (1, 1, 1))
PY
