#!/usr/bin/env bash
# human-interval 2.0.1 (npm, used by Agenda and Bree): "an hour" is 0 ms, and "1,000 seconds" is one second.
#
# Guess: it knows words for numbers, so "an hour" is an hour, or not understood at all and NaN.
# Behaviour: a word that is no number counts as zero, without an error. A comma ends the number, and what stood behind
# an "and" is dropped.
# Seen on 2026-11-30: {"an hour":0,"half an hour":0,"1,000 seconds":1000,"two and a half days":172800000}
# Why it matters: a job that is to repeat "every half an hour" gets an interval of 0, so it is due again as soon as it
# ends. A time limit of 0 ends it at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund human-interval@2.0.1
cat > look.js <<'JS'
const humanInterval = require('human-interval');

const texts = ['an hour', 'half an hour', '1,000 seconds', 'two and a half days'];
const seen = JSON.stringify(Object.fromEntries(texts.map((text) => [text, humanInterval(text)])));
console.log(seen);
const expected = '{"an hour":0,"half an hour":0,"1,000 seconds":1000,"two and a half days":172800000}';
process.exitCode = seen === expected ? 0 : 1;
JS
node look.js
