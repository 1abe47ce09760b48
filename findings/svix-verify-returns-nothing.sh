#!/usr/bin/env bash
# svix 2.9.1 and standardwebhooks 1.1.0, one signature scheme by the same people: verify() of one returns the payload,
# that of the other returns None.
#
# Guess: both return the decoded JSON body, and both raise when the body is not JSON.
# Behaviour: standardwebhooks returns the dict and raises JSONDecodeError on a signed body of plain text. svix checks
# the signature only: it returns None for both. It also takes the other's header names.
# Seen on 2026-11-30: {'standardwebhooks': [{'run': 7}, 'JSONDecodeError'], 'svix': [None, None]}
# Why it matters: a receiver that enqueues `verify(body, headers)` enqueues None after a change of library, though every
# signature is good; and a sender of plain text is refused by one receiver and taken by the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check svix==2.9.1 standardwebhooks==1.1.0
venv/bin/python - <<'PY'
import base64
import sys
from datetime import datetime, timezone

import standardwebhooks
import svix

secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
now = datetime.now(timezone.utc)
seen = {}
for library in (standardwebhooks, svix):
    hook = library.Webhook(secret)
    answers = seen[library.__name__] = []
    for body in ('{"run": 7}', "run 7 is done"):
        headers = {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp()))}
        headers["webhook-signature"] = standardwebhooks.Webhook(secret).sign("m1", now, body)
        try:
            answers.append(hook.verify(body, headers))
        except ValueError as error:
            answers.append(type(error).__name__)
print(seen)
sys.exit(seen != {"standardwebhooks": [{"run": 7}, "JSONDecodeError"], "svix": [None, None]})
PY
