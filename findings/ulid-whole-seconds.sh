#!/usr/bin/env bash
# python-ulid 4.1.0: the same moment as an int and as a float are moments of 1970 and of 2026.
#
# Guess: `from_timestamp` takes seconds since 1970, as `datetime.fromtimestamp` does, whole or not.
# Behaviour: an int is milliseconds and a float is seconds, so `int(time.time())` makes an id of January 1970.
# Seen on 2026-11-30: {'int': '1970-01-21', 'float': '2026-11-30'}, sorted: the int first
# Why it matters: ids made from a time that a database or JSON gives, where a whole second is an int. Such runs sort
# before all others, and "older than thirty days" takes them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-ulid==4.1.0
venv/bin/python - <<'PY'
import sys

from ulid import ULID

moment = 1_796_051_394
ids = {"int": ULID.from_timestamp(moment), "float": ULID.from_timestamp(float(moment))}
seen = {name: str(one.datetime.date()) for name, one in ids.items()}
first = min(ids, key=lambda name: str(ids[name]))
print(f"{seen}, sorted: the {first} first")
sys.exit((seen, first) != ({"int": "1970-01-21", "float": "2026-11-30"}, "int"))
PY
