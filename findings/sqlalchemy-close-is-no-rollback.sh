#!/usr/bin/env bash
# SQLAlchemy 2.1.9: Session.close() rolls back and sends none of the session's rollback events.
#
# Guess: closing a session with an open transaction rolls it back, so "after_rollback" and "after_soft_rollback" are sent.
# Behaviour: neither is, also when `with Session(…)` is left without a commit. "after_transaction_end" is all there is.
# Seen on 2026-11-30: rollback(): ['after_rollback', 'after_soft_rollback'], close(): []
# Why it matters: code that keeps what to publish until "after_commit", and forgets it at a rollback, keeps it after a
# close. A scoped session is used again: its next commit publishes jobs of the transaction that never was.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9
venv/bin/python - <<'PY'
import sys

from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

engine = create_engine("sqlite:///app.db")
with engine.begin() as connection:
    connection.execute(text("create table jobs (n integer)"))


def seen(end):
    found = []
    session = Session(engine)
    for name in ("after_rollback", "after_soft_rollback"):
        event.listen(session, name, lambda *_, name=name: found.append(name))
    session.execute(text("insert into jobs values (1)"))
    end(session)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from jobs")) == 0
    session.close()
    return found


rolled_back, closed = seen(Session.rollback), seen(Session.close)
print(f"rollback(): {rolled_back}, close(): {closed}")
sys.exit((sorted(rolled_back), closed) != (["after_rollback", "after_soft_rollback"], []))
PY
