#!/usr/bin/env bash
# cattrs 26.2.1, mashumaro 3.23, dataclasses-json 0.6.7: the text "false" is read into a bool as True.
#
# Guess: "false" for a field of type bool is False, or it is refused, as any text for an int that is no number is.
# Behaviour: the three call bool() on it, and every text but the empty one is true. "0" and "no" are True as well.
# pydantic 2.14.4 reads all of them as False; msgspec 0.23.0 refuses the text.
# Seen on 2026-12-01: {'cattrs': True, 'mashumaro': True, 'dataclasses-json': True, 'pydantic': False, 'msgspec':
# 'ValidationError'}
# Why it matters: arguments of jobs come from forms, headers, the environment and CSV as text. dry_run=false runs dry,
# and notify=false sends the mails, while an int beside it is read well and hides that nothing is checked.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cattrs==26.2.1 mashumaro==3.23 dataclasses-json==0.6.7 \
    pydantic==2.14.4 msgspec==0.23.0
venv/bin/python - <<'PY'
import sys
from dataclasses import dataclass

import cattrs
import msgspec
from dataclasses_json import DataClassJsonMixin
from mashumaro import DataClassDictMixin
from pydantic import TypeAdapter


@dataclass
class Plain:
    dry_run: bool


@dataclass
class Mashumaro(DataClassDictMixin):
    dry_run: bool


@dataclass
class DataclassesJson(DataClassJsonMixin):
    dry_run: bool


def look(read):
    try:
        return read({"dry_run": "false"}).dry_run
    except Exception as error:
        return type(error).__name__


seen = {
    "cattrs": look(lambda given: cattrs.structure(given, Plain)),
    "mashumaro": look(Mashumaro.from_dict),
    "dataclasses-json": look(DataclassesJson.from_dict),
    "pydantic": look(TypeAdapter(Plain).validate_python),
    "msgspec": look(lambda given: msgspec.convert(given, Plain)),
}
print(seen)
sys.exit(list(seen.values()) != [True, True, True, False, "ValidationError"])
PY
