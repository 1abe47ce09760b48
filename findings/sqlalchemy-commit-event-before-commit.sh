#!/usr/bin/env bash
# SQLAlchemy 2.1.9: the "commit" event of a Core connection comes before the commit, that of a Session after it.
#
# Guess: whoever listens for "commit" of a connection is called once its rows can be seen, as with a session's
# "after_commit".
# Behaviour: during the connection's event another connection still sees nothing; during the session's it sees the row.
# Seen on 2026-11-30: rows that another connection sees: {'Connection commit': 0, 'Session after_commit': 1}
# Why it matters: code that publishes a job's id "on commit" sends workers an id that they cannot find yet, and if the
# commit then fails, an id of a row that never exists. There is no event of a Core connection after the commit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9
venv/bin/python - <<'PY'
import sqlite3
import sys

from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

engine = create_engine("sqlite:///app.db")
seen = {}


def look(name):
    other = sqlite3.connect("app.db", timeout=5)
    seen[name] = other.execute("select count(*) from jobs").fetchone()[0]
    other.close()


with engine.begin() as connection:
    connection.execute(text("create table jobs (n integer)"))

with engine.connect() as connection:
    listener = lambda committing: look("Connection commit")  # noqa: E731
    event.listen(connection, "commit", listener)
    connection.execute(text("insert into jobs values (1)"))
    connection.commit()
with engine.begin() as connection:
    connection.execute(text("delete from jobs"))

with Session(engine) as session:
    event.listen(session, "after_commit", lambda committed: look("Session after_commit"))
    session.execute(text("insert into jobs values (2)"))
    session.commit()
print("rows that another connection sees:", seen)
sys.exit(seen != {"Connection commit": 0, "Session after_commit": 1})
PY
