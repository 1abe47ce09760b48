#!/usr/bin/env bash
# cron-parser 5.10.6 (npm, what BullMQ schedules with): next() and prev() name different moments for one slot.
#
# Guess: a slot at 01:30 in the hour that happens twice is one moment, whichever side it is looked for from.
# Behaviour: next() gives the first 01:30 and not the second; prev() gives the second, and then the first as well.
# Seen on 2026-11-30: next [ '05:30Z' ] prev [ '06:30Z', '05:30Z' ]
# Why it matters: "was the last slot run?" compares prev() with what next() had scheduled. On that day they differ by an
# hour: a check for missed runs finds a slot that nothing ever started, and a catch-up runs the job a second time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund cron-parser@5.10.6
cat > look.js <<'JS'
const { CronExpressionParser } = require('cron-parser');

function walk(from, step) {
  const slots = CronExpressionParser.parse('30 1 * * *', { currentDate: new Date(from), tz: 'America/New_York' });
  const moments = [0, 1, 2].map(() => slots[step]().toISOString());
  return moments.filter((text) => text.startsWith('2026-11-01')).map((text) => text.slice(11, 16) + 'Z');
}

const next = walk('2026-10-31T12:00:00Z', 'next');
const prev = walk('2026-11-01T23:00:00Z', 'prev');
console.log('next', next, 'prev', prev);
process.exitCode = JSON.stringify([next, prev]) === '[["05:30Z"],["06:30Z","05:30Z"]]' ? 0 : 1;
JS
node look.js
