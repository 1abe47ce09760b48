#!/usr/bin/env bash
# @breejs/later 4.2.0 and cronosjs 1.7.1 (npm): weekday 7 is Saturday for one, and 0-7 is Sunday alone for the other.
#
# Guess: 7 is Sunday, as 0 is, and 0-7 is every day.
# Behaviour: later, which Bree schedules with, takes 7 for Saturday, so 1-7 leaves Sunday out. cronosjs lists 0-7 as its
# allowed values and takes the range for 0 to 0.
# Seen on 2026-11-30: later: 7 is Sat, 1-7 is Thu Fri Sat Mon Tue Wed; cronosjs: 7 is Sun, 0-7 is Sun, 1-7 is every day
# Why it matters: no expression is refused. A job for Sunday night runs on Saturday, while people still work, and a
# daily one runs weekly.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @breejs/later@4.2.0 cronosjs@1.7.1
cat > look.js <<'JS'
const later = require('@breejs/later');
const { CronosExpression } = require('cronosjs');

const begin = new Date('2026-01-01T00:00:00Z');
const names = (slots) => [...new Set(slots.map((slot) => slot.toUTCString().slice(0, 3)))].join(' ');
const cron = (weekday) => `0 12 * * ${weekday}`;
const ofLater = (weekday) => names(later.schedule(later.parse.cron(cron(weekday))).next(14, begin));
const ofCronos = (weekday) =>
  names(CronosExpression.parse(cron(weekday), { timezone: 'UTC', strict: true }).nextNDates(begin, 14));

const all = 'Thu Fri Sat Sun Mon Tue Wed';
later.date.UTC();
const week = ofCronos('1-7') === all ? 'every day' : ofCronos('1-7');
const parts = [
  `later: 7 is ${ofLater('7')}, 1-7 is ${ofLater('1-7')}`,
  `cronosjs: 7 is ${ofCronos('7')}, 0-7 is ${ofCronos('0-7')}, 1-7 is ${week}`,
];
console.log(parts.join('; '));
const expected = [
  'later: 7 is Sat, 1-7 is Thu Fri Sat Mon Tue Wed',
  'cronosjs: 7 is Sun, 0-7 is Sun, 1-7 is every day',
];
process.exitCode = JSON.stringify(parts) === JSON.stringify(expected) ? 0 : 1;
JS
node look.js
