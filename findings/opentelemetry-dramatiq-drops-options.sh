#!/usr/bin/env bash
# opentelemetry-instrumentor-dramatiq 0.1.4 with dramatiq 2.2.1: once instrumented, the options of a message are lost.
#
# Guess: an instrumentor adds its trace context to the options that the sender gave.
# Behaviour: it puts all of them, with its own, into one option named "options", which nobody reads. Only the delay of
# send_with_options() still works, since dramatiq hands it to the broker itself.
# Seen on 2026-11-30: before ['max_retries', 'time_limit'], after ['options']
# Why it matters: with tracing switched on, a message sent with max_retries=0 is tried again, and one with a time limit
# of its own runs under the default.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  dramatiq==2.2.1 opentelemetry-instrumentor-dramatiq==0.1.4 opentelemetry-sdk==1.45.2
venv/bin/python - <<'PY'
import sys

import dramatiq
from dramatiq.brokers.stub import StubBroker
from opentelemetry_instrumentor_dramatiq import DramatiqInstrumentor

dramatiq.set_broker(StubBroker())


@dramatiq.actor
def charge(order): ...


def options():
    return sorted(charge.send_with_options(args=(7,), max_retries=0, time_limit=60_000).options)


before = options()
DramatiqInstrumentor().instrument()
after = options()
print(f"before {before}, after {after}")
sys.exit((before, after) != (["max_retries", "time_limit"], ["options"]))
PY
