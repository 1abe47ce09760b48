#!/usr/bin/env bash
# cloudevents 2.2.0: over binary HTTP the JSON values false, "1" and "null" come back as other values.
#
# Guess: with datacontenttype application/json the body is the data as JSON, so each value comes back as it was sent.
# Behaviour: only lists and mappings are written as JSON. The rest is written as Python's str(), so False is the text
# False, and text has no quotes. Structured mode is well. A true attribute travels as True, where the specification says
# true.
# Seen on 2026-11-30: binary: False -> 'False', '1' -> 1, 'null' -> None; structured: all as sent; ce-final: True
# Why it matters: a job's result or its argument is often one value. A number of an order that is text, as "0042",
# arrives as a number or not as JSON at all, and a worker in another language refuses the body.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
venv/bin/python - <<'PY'
import sys
from datetime import datetime, timezone

from cloudevents.core.bindings.http import from_http, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

base = {"id": "1", "source": "/jobs", "type": "job.done", "specversion": "1.0", "final": True}
base |= {"datacontenttype": "application/json", "time": datetime(2026, 1, 1, tzinfo=timezone.utc)}


def travel(data, mode):
    message = mode(CloudEvent(attributes=dict(base), data=data), JSONFormat())
    return from_http(message, JSONFormat(), CloudEvent).get_data(), message.headers.get("ce-final")


values = [False, "1", "null"]
binary = [travel(value, to_binary)[0] for value in values]
is_structured_well = [travel(value, to_structured)[0] for value in values] == values
header = travel({}, to_binary)[1]
pairs = ", ".join(f"{sent!r} -> {got!r}" for sent, got in zip(values, binary))
print(f"binary: {pairs}; structured: {'all as sent' if is_structured_well else 'changed'}; ce-final: {header}")
sys.exit((binary, is_structured_well, header) != (["False", 1, None], True, "True"))
PY
