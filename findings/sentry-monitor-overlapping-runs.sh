#!/usr/bin/env bash
# sentry-sdk 2.75.0: of two overlapping calls of one @monitor function, both end the check-in of the later one.
#
# Guess: each call has a check-in of its own, which it ends with its own duration.
# Behaviour: the decorator keeps the check-in's id and start on itself, one for all calls. The later call overwrites
# them: its check-in is ended twice, and the earlier one never.
# Seen on 2026-11-30: begun 2, ended [2, 2]
# Why it matters: worker threads, or a run that overlaps the next. A check-in left in progress becomes a time-out alarm
# for a run that was fine, and if the earlier run fails the later one is reported as failed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sentry-sdk==2.75.0
venv/bin/python - <<'PY'
import sys
import threading

import sentry_sdk
from sentry_sdk.transport import Transport

sent = []


class Kept(Transport):
    def capture_envelope(self, envelope):
        sent.extend(item.payload.json for item in envelope.items if item.type == "check_in")


sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, default_integrations=False)
started = threading.Event(), threading.Event()
may_end = threading.Event(), threading.Event()


@sentry_sdk.monitor(monitor_slug="report")
def report(number):
    started[number].set()
    may_end[number].wait(20)


threads = [threading.Thread(target=report, args=(number,)) for number in (0, 1)]
for number, thread in enumerate(threads):
    thread.start()
    started[number].wait(20)
for number, thread in enumerate(threads):
    may_end[number].set()
    thread.join()
begun = [item["check_in_id"] for item in sent if item["status"] == "in_progress"]
ended = [begun.index(item["check_in_id"]) + 1 for item in sent if item["status"] == "ok"]
print(f"begun {len(set(begun))}, ended {ended}")
sys.exit((len(set(begun)), ended) != (2, [2, 2]))
PY
