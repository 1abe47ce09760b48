#!/usr/bin/env bash
# durationpy 0.11: a duration loses its microseconds when it is written, because seconds get six digits in all.
#
# Guess: to_str() and from_str() are each other's inverse for what a timedelta can hold, as Go's are for its Duration.
# Behaviour: the seconds are written with six significant digits, so from ten seconds on they are right to a tenth of a
# millisecond only.
# Seen on 2026-11-30: 12.345678 s is written 12.3457s and read as 12.3457 s; 59.999999 s is written 60s
# Why it matters: the library of the Kubernetes client writes job and lease durations with it. A value that is read,
# written and compared for a change differs each time from what it was.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check durationpy==0.11
venv/bin/python - <<'PY'
import sys
from datetime import timedelta

import durationpy

exact, near = timedelta(seconds=12, microseconds=345_678), timedelta(seconds=59, microseconds=999_999)
text = durationpy.to_str(exact)
back = durationpy.from_str(text).total_seconds()
print(f"{exact.total_seconds()} s is written {text} and read as {back} s;", end=" ")
print(f"{near.total_seconds()} s is written {durationpy.to_str(near)}")
sys.exit((text, back, durationpy.to_str(near)) != ("12.3457s", 12.3457, "60s"))
PY
