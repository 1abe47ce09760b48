#!/usr/bin/env bash
# freezegun 1.5.5 with orjson 3.13.0, msgspec 0.23.0 and msgpack 1.2.4: a frozen moment is not encoded.
#
# Guess: a datetime that freezegun makes is a datetime, so an encoder writes it like any other.
# Behaviour: all three look at the exact type and raise TypeError for FakeDatetime. time-machine 3.6.0 makes real
# datetimes, and all three take those.
# Seen on 2026-11-30: {'freezegun': [], 'time-machine': ['msgpack', 'msgspec', 'orjson']}
# Why it matters: the code that enqueues `now` as an argument works in production and raises under the clock of its
# test, or a test that catches broadly hides it. Whoever writes a serializer must not compare exact types.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check freezegun==1.5.5 time-machine==3.6.0 \
    orjson==3.13.0 msgspec==0.23.0 msgpack==1.2.4
venv/bin/python - <<'PY'
import sys
from datetime import UTC, datetime

import freezegun
import msgpack
import msgspec
import orjson
import time_machine

ENCODERS = {
    "msgpack": lambda moment: msgpack.packb(moment, datetime=True),
    "msgspec": msgspec.json.encode,
    "orjson": orjson.dumps,
}
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def written(moment):
    """The encoders that take it."""
    names = []
    for name, encode in ENCODERS.items():
        try:
            encode(moment)
        except TypeError:
            continue
        names.append(name)
    return names


def now():
    import datetime as clock

    return clock.datetime.now(clock.UTC)


seen = {}
with freezegun.freeze_time(NOON):
    seen["freezegun"] = written(now())
with time_machine.travel(NOON):
    seen["time-machine"] = written(now())
print(seen)
sys.exit(seen != {"freezegun": [], "time-machine": ["msgpack", "msgspec", "orjson"]})
PY
