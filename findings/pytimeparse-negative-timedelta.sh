#!/usr/bin/env bash
# pytimeparse 1.1.10, pytimeparse2 1.7.1: the text of a negative timedelta is read as almost two days.
#
# Guess: both read what str(timedelta) writes, as they do for positive ones: "1 day, 0:00:10" is 86410 s.
# Behaviour: Python writes minus ten seconds as "-1 day, 23:59:50". Both take the sign for the whole text.
# Seen on 2026-11-30: {'1 day, 0:00:10': [86410, 86410], '-1 day, 23:59:50': [-172790, -172790]}
# Why it matters: lateness, the time left until a deadline and the offset of a clock go below zero by seconds. Read back
# from a log or a settings file, ten seconds late have become two days late.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytimeparse==1.1.10 pytimeparse2==1.7.1
venv/bin/python - <<'PY'
import sys
from datetime import timedelta

import pytimeparse
import pytimeparse2

texts = [str(timedelta(seconds=86_410)), str(timedelta(seconds=-10))]
seen = {text: [pytimeparse.parse(text), pytimeparse2.parse(text)] for text in texts}
print(seen)
sys.exit(seen != {"1 day, 0:00:10": [86_410, 86_410], "-1 day, 23:59:50": [-172_790, -172_790]})
PY
