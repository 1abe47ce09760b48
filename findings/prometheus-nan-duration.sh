#!/usr/bin/env bash
# prometheus_client 0.26.0: one observation of NaN is in a histogram's sum for ever, and in none of its buckets.
#
# Guess: observe(nan) raises ValueError, or counts as +Inf and spoils one observation.
# Behaviour: no bucket takes it, so the count does not rise, while the sum becomes NaN and stays so. A counter, which
# refuses to fall, takes NaN as well.
# Seen on 2026-11-30: count 1.0, sum nan, counter nan
# Why it matters: a job that reports 0/0 as its rate or wait ends every average (sum by count) until the process
# restarts, and no bucket shows that anything was observed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus-client==0.26.0
venv/bin/python - <<'PY'
import sys

from prometheus_client import CollectorRegistry, Counter, Histogram

registry = CollectorRegistry()
waits = Histogram("wait_seconds", "Wait", buckets=[1, 5], registry=registry)
waits.observe(float("nan"))
waits.observe(2)
Counter("paid", "Paid", registry=registry).inc(float("nan"))
seen = [str(registry.get_sample_value(name)) for name in ("wait_seconds_count", "wait_seconds_sum", "paid_total")]
print("count {}, sum {}, counter {}".format(*seen))
sys.exit(seen != ["1.0", "nan", "nan"])
PY
