#!/usr/bin/env bash
# structlog 26.1.0, python-json-logger 4.2.0: a field named level is lost by one, and the level itself by the other.
#
# Guess: a field whose name is taken is refused, as logging refuses extra={'name': …}, or it is kept beside the level.
# Behaviour: structlog's add_log_level writes over the field. python-json-logger with levelname renamed to level lets
# the field win, so an error has the customer's level. Neither says anything; with a field named timestamp it is the
# same in structlog.
# Seen on 2026-12-01: {'structlog': 'error', 'python-json-logger': 'gold'} of level='gold' in an error
# Why it matters: jobs log their arguments as fields. A job with an argument named level either never shows it, or its
# errors are no errors for the alarm that counts them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check structlog==26.1.0 python-json-logger==4.2.0
venv/bin/python - <<'PY'
import io
import json
import logging
import sys

import structlog
from pythonjsonlogger.json import JsonFormatter

text = io.StringIO()
processors = [structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
structlog.wrap_logger(structlog.PrintLogger(text), processors=processors).error("Job failed", level="gold")
seen = {"structlog": json.loads(text.getvalue())["level"]}

text = io.StringIO()
handler, logger = logging.StreamHandler(text), logging.Logger("jobs")
handler.setFormatter(JsonFormatter("%(levelname)s %(message)s", rename_fields={"levelname": "level"}))
logger.addHandler(handler)
logger.error("Job failed", extra={"level": "gold"})
seen["python-json-logger"] = json.loads(text.getvalue())["level"]
print(f"{seen} of level='gold' in an error")
sys.exit(seen != {"structlog": "error", "python-json-logger": "gold"})
PY
