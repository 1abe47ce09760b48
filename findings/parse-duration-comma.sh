#!/usr/bin/env bash
# parse-duration 2.1.9 (npm): one and a half hours with a comma are fifteen hours.
#
# Guess: "1,5 h" is refused or is 90 minutes, as "1.5 h" is; the comma is the decimal sign of half of the world.
# Behaviour: a comma between digits is taken away as a sign between thousands, wherever it stands.
# Seen on 2026-11-30: 1.5 h: 90 min; 1,5 h: 900 min; 0,25 h: 1500 min; 1,000 s: 16.7 min
# Why it matters: timeouts and delays that people type into a form, or that a spreadsheet of another language exports.
# A limit of a quarter of an hour is a day, and nothing is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund parse-duration@2.1.9
cat >look.mjs <<'JS'
import parse from "parse-duration";

const texts = ["1.5 h", "1,5 h", "0,25 h", "1,000 s"];
const minutes = texts.map((text) => parse(text, "m"));
console.log(texts.map((text, n) => `${text}: ${Math.round(minutes[n] * 10) / 10} min`).join("; "));
process.exit(minutes[0] === 90 && minutes[1] === 900 && minutes[2] === 1500 ? 0 : 1);
JS
node look.mjs
