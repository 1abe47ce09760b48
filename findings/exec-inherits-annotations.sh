#!/usr/bin/env bash
# Python 3.11, pydantic 2.14.4: a class made by exec() takes the future imports of whoever calls exec().
#
# Guess: exec(source) reads its text as a file would be read. The text has no future import, so its annotations are types.
# Behaviour: it inherits `from __future__ import annotations` from the module that calls it. Annotations are then strings,
# which pydantic cannot resolve, because the class is in no module: it is "not fully defined" and refuses every value.
# Seen on 2026-11-30: with dont_inherit: Decimal, without: PydanticUserError
# Why it matters: plug-ins and generated job classes work until somebody adds the import, which linters suggest, to the
# module that loads them. compile(source, name, "exec", dont_inherit=True) is what was meant.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.4
venv/bin/python - <<'PY'
from __future__ import annotations

import sys

SOURCE = """
from decimal import Decimal
from pydantic import BaseModel

class Charge(BaseModel):
    amount: Decimal
"""


def seen(**options):
    made = {}
    exec(compile(SOURCE, "plug-in", "exec", **options), made)
    try:
        return type(made["Charge"](amount="12.50").amount).__name__
    except Exception as error:
        return type(error).__name__


apart, inherited = seen(dont_inherit=True), seen()
print(f"with dont_inherit: {apart}, without: {inherited}")
sys.exit((apart, inherited) != ("Decimal", "PydanticUserError"))
PY
