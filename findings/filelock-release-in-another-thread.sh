#!/usr/bin/env bash
# filelock 4.3.1: a release in another thread than the one that acquired does nothing and says nothing.
#
# Guess: it releases the lock of the process, or it raises as threading.RLock does.
# Behaviour: each thread has a count of its own (thread_local=True is the default), and that of the second thread is
# zero. Neither release() nor release(force=True) raises there, is_locked is False, and the file stays locked.
# Seen on 2026-12-01: is_locked in the other thread: False; another process gets the lock: False
# Why it matters: asyncio.to_thread(lock.acquire) and later asyncio.to_thread(lock.release) take whichever thread is
# free. With little to do it is the same one; under load the nightly job is locked out until the worker restarts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check filelock==4.3.1
venv/bin/python - <<'PY'
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from filelock import FileLock

program = "import filelock; filelock.FileLock('nightly.lock').acquire(timeout=0.5)"
lock = FileLock("nightly.lock")
with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
    one.submit(lock.acquire).result()
    other.submit(lock.release).result()
    other.submit(lock.release, force=True).result()
    held = other.submit(lambda: lock.is_locked).result()
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    is_free = process.returncode == 0
    one.submit(lock.release).result()
print(f"is_locked in the other thread: {held}; another process gets the lock: {is_free}")
sys.exit((held, is_free, "could not be acquired" in process.stderr) != (False, False, True))
PY
