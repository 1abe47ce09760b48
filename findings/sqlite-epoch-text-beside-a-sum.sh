#!/usr/bin/env bash
# SQLite 3.54 (apsw 3.54.1.0): due <= strftime('%s') is right, and due + delay <= strftime('%s') is always true.
#
# Guess: strftime('%s', 'now') is compared as a number in both, since the other side is an integer in both.
# Behaviour: it is a text. Only beside a bare column does the column's type turn it into a number. A sum, coalesce(),
# max() and even +due have no type of their own, and any integer is less than any text.
# Seen on 2026-12-01: due tomorrow? {'due': 0, 'due + delay': 1, 'coalesce(due, 0)': 1, '+due': 1}, with unixepoch() 0
# Why it matters: a delay or a default is added to the query that claims what is due, and every job of the future is
# due at once. No error tells of it, and the tests whose jobs are due pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0
venv/bin/python - <<'PY'
import sys

import apsw

connection = apsw.Connection(":memory:")
connection.execute("create table jobs (due integer, delay integer)")
connection.execute("insert into jobs values (unixepoch('now', '+1 day'), 60)")


def is_due(what, now="strftime('%s', 'now')"):
    return connection.execute(f"select {what} <= {now} from jobs").fetchone()[0]


seen = {what: is_due(what) for what in ("due", "due + delay", "coalesce(due, 0)", "+due")}
number = is_due("due + delay", "unixepoch()")
print(f"due tomorrow? {seen}, with unixepoch() {number}")
sys.exit((list(seen.values()), number) != ([0, 1, 1, 1], 0))
PY
