#!/usr/bin/env bash
# cron-schedule 6.0.0 (npm): "the second Friday" and "the last Friday" run on every Friday.
#
# Guess: 5#2 and 5L are extensions that a library either knows or refuses, as it refuses L alone.
# Behaviour: what follows the number is dropped, so 5#2 and 5L mean 5, and 15W means the 15th, also on a Sunday.
# Seen on 2026-11-30: 5#2: 2 9 16 23, 5L: 2 9 16 23 January; 15W: 15 February is a Sunday
# Why it matters: an expression that another scheduler understood moves here without an error, and a monthly pay run
# starts every week.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund cron-schedule@6.0.0
cat > look.js <<'JS'
const { parseCronExpression } = require('cron-schedule');

const begin = new Date(2026, 0, 1);
const slots = (expression) => parseCronExpression(expression).getNextDates(4, begin);
const days = (expression) => slots(expression).map((slot) => slot.getDate()).join(' ');
const second = slots('0 0 15W * *')[1];
const seen = `5#2: ${days('0 0 * * 5#2')}, 5L: ${days('0 0 * * 5L')} January; 15W: ${second.getDate()} February`;
console.log(seen, second.getDay() === 0 ? 'is a Sunday' : 'is no Sunday');
process.exitCode = seen === '5#2: 2 9 16 23, 5L: 2 9 16 23 January; 15W: 15 February' && second.getDay() === 0 ? 0 : 1;
JS
node look.js
