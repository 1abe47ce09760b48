#!/usr/bin/env bash
# iso8601-duration 2.1.4 (npm), pydantic 2.14.4: minus ten seconds from Python are plus ten seconds in Node.
#
# Guess: a duration that the Node library does not support is refused with "invalid duration", as it refuses P0.5D.
# Behaviour: the minus in front is skipped, and so is a number without a unit at the end.
# Seen on 2026-11-30: pydantic writes -PT10S, Node reads 10 s; PT1H30 is 3600 s
# Why it matters: lateness, the time that is left and the offset of a clock can be below zero. Sent by a producer in
# Python to a worker on Node, a job that is early becomes one that is late by as much.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.4
npm install --silent --no-audit --no-fund iso8601-duration@2.1.4
text=$(venv/bin/python - <<'PY'
from datetime import timedelta

from pydantic import TypeAdapter

print(TypeAdapter(timedelta).dump_python(timedelta(seconds=-10), mode="json"))
PY
)
cat > look.js <<'JS'
const { parse, toSeconds } = require('iso8601-duration');

const [text] = process.argv.slice(2);
const [negative, rest] = [text, 'PT1H30'].map((duration) => toSeconds(parse(duration)));
console.log(`pydantic writes ${text}, Node reads ${negative} s; PT1H30 is ${rest} s`);
process.exitCode = text === '-PT10S' && negative === 10 && rest === 3600 ? 0 : 1;
JS
node look.js "$text"
