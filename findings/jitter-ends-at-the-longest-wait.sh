#!/usr/bin/env bash
# tenacity 9.2.1, stamina 26.1.0: at the longest wait there is no jitter any more.
#
# Guess: a longest wait of 60 s with 5 s of jitter spreads the tries over some seconds, as it does for shorter waits.
# Behaviour: the jitter is added first and the limit applied after, so from there on each wait is exactly 60 s.
# Seen on 2026-11-30: different waits after one failure: tenacity 20, stamina 20; after eight: tenacity 1, stamina 1
# Why it matters: in a long outage all jobs arrive at the longest wait. Those that failed together then try again
# together, each minute anew, which is what jitter is to prevent. wait_random_exponential of tenacity does spread them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tenacity==9.2.1 stamina==26.1.0
venv/bin/python - <<'PY'
import sys
from types import SimpleNamespace

import stamina
from tenacity import wait_exponential_jitter

CAP = 0.02
tenacity_wait = wait_exponential_jitter(initial=1, max=60, jitter=5)


def waits_of_tenacity(attempt):
    return {tenacity_wait(SimpleNamespace(attempt_number=attempt)) for _ in range(20)}


def waits_of_stamina(attempt):
    seen = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: seen.append(round(details.wait_for, 9))])

    @stamina.retry(on=OSError, attempts=attempt + 1, wait_initial=0.001, wait_max=CAP, wait_jitter=0.005)
    def job():
        raise OSError

    for _ in range(20):
        try:
            job()
        except OSError:
            continue
    return set(seen[attempt - 1 :: attempt])


first = len(waits_of_tenacity(1)), len(waits_of_stamina(1))
last = len(waits_of_tenacity(8)), len(waits_of_stamina(8))
at_cap = waits_of_tenacity(8) == {60} and waits_of_stamina(8) == {CAP}
print("different waits after one failure: tenacity {}, stamina {};".format(*first), end=" ")
print("after eight: tenacity {}, stamina {}".format(*last))
sys.exit((first, last, at_cap) != ((20, 20), (1, 1), True))
PY
