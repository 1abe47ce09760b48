#!/usr/bin/env bash
# fasteners 0.20: of two locks on one file in one process both are held, and the release of one frees the other.
#
# Guess: the lock is not reentrant, so a second InterProcessLock on the file, in a thread beside, is refused.
# Behaviour: the system keeps one lock for the process and the file. The second gets it too; when it is released,
# another process gets the lock, while the first still says that it is held.
# Seen on 2026-12-01: second acquired True; another process: False, after the release: True; the first says True
# Why it matters: worker threads that each make the lock of a nightly job run it at once. A health check in a thread
# that only tries the lock and lets go takes it from the job that runs, and the next process starts it a second time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fasteners==0.20
venv/bin/python - <<'PY'
import subprocess
import sys

from fasteners import InterProcessLock

program = "import fasteners; print(fasteners.InterProcessLock('nightly').acquire(blocking=False))"


def other_process():
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout == "True\n"


first, second = InterProcessLock("nightly"), InterProcessLock("nightly")
first.acquire(blocking=False)
acquired = second.acquire(blocking=False)
before = other_process()
second.release()
after = other_process()
held = first.acquired
print(f"second acquired {acquired}; another process: {before}, after the release: {after}; the first says {held}")
sys.exit((acquired, before, after, held) != (True, False, True, True))
PY
