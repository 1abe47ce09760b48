#!/usr/bin/env bash
# prometheus_client 0.26.0: a histogram takes the same bucket twice and exposes two series of one name and label.
#
# Guess: buckets=[60, 60.0, 300] raises ValueError, as buckets in the wrong order do.
# Behaviour: the constructor accepts it and every scrape has the line with le="60.0" twice.
# Seen on 2026-11-30: ['job_bucket{le="60.0"} 1.0', 'job_bucket{le="60.0"} 1.0'], wrong order: ValueError
# Why it matters: buckets are often built from time limits of jobs (warn, soft, hard). Two that are equal make two
# samples of one series at one moment, which the exposition format forbids; nothing shows it where it is made.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus-client==0.26.0
venv/bin/python - <<'PY'
import sys

from prometheus_client import CollectorRegistry, Histogram, generate_latest

registry = CollectorRegistry()
Histogram("job", "Seconds", buckets=[60, 60.0, 300], registry=registry).observe(5)
lines = [line for line in generate_latest(registry).decode().splitlines() if 'le="60.0"' in line]
try:
    Histogram("other", "Seconds", buckets=[300, 60], registry=registry)
    order = "accepted"
except ValueError:
    order = "ValueError"
print(f"{lines}, wrong order: {order}")
sys.exit(len(lines) != 2 or len(set(lines)) != 1 or order != "ValueError")
PY
