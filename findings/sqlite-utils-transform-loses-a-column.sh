#!/usr/bin/env bash
# sqlite-utils 4.2.1: to rename one column takes away every generated column of the table.
#
# Guess: transform() makes the table anew with all its columns, generated ones too, or refuses as it does for some
# indexes.
# Behaviour: it lists the columns with a pragma that leaves generated ones out, so the new table does not have them.
# Seen on 2026-12-01: before id, payload, state, tenant; after id, payload, status
# Why it matters: a queue in SQLite keeps its payload as JSON and generates the columns that it filters by. After a
# small migration the claim fails with "no such column", on the machine where the migration has run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sqlite-utils==4.2.1
venv/bin/python - <<'PY'
import sys

import sqlite_utils

database = sqlite_utils.Database(memory=True)
database.execute(
    "create table jobs (id integer primary key, payload text, state text,"
    " tenant text generated always as (payload ->> '$.tenant') stored)"
)
names = "select group_concat(name, ', ') from pragma_table_xinfo('jobs')"
before = database.execute(names).fetchone()[0]
database["jobs"].transform(rename={"state": "status"})
after = database.execute(names).fetchone()[0]
print(f"before {before}; after {after}")
sys.exit((before, after) != ("id, payload, state, tenant", "id, payload, status"))
PY
