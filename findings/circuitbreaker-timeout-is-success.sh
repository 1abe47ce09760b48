#!/usr/bin/env bash
# circuitbreaker 2.1.3: a call that asyncio cancels at its time limit counts as a success.
#
# Guess: a call that did not finish in time counts as a failure, or at least as nothing.
# Behaviour: asyncio.timeout cancels the call, the breaker sees no exception that it expects and records a success. So a
# time limit clears the count of failures, and a trial call that takes too long closes the open circuit.
# Seen on 2026-11-30: failures 2, after a time limit 0; half_open, after a time limit closed
# Why it matters: a service that hangs is why jobs have both a breaker and a time limit. With the limit outside of the
# breaker it never opens for such a service, and the first trial sends the full load to it again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check circuitbreaker==2.1.3
venv/bin/python - <<'PY'
import asyncio
import sys

from circuitbreaker import CircuitBreaker


async def refuse():
    raise ConnectionRefusedError


async def use(breaker, call):
    """Call a service as a job does, with a time limit around it."""
    try:
        async with asyncio.timeout(0.05):
            await breaker.call_async(call)
    except (ConnectionRefusedError, TimeoutError) as error:
        return type(error).__name__


async def look():
    breaker = CircuitBreaker(failure_threshold=3, recovery_timeout=0.2)
    await use(breaker, refuse)
    await use(breaker, refuse)
    before = breaker.failure_count
    assert await use(breaker, lambda: asyncio.sleep(5)) == "TimeoutError"
    counts = (before, breaker.failure_count)

    for _ in range(3):
        await use(breaker, refuse)
    assert breaker.state == "open"
    await asyncio.sleep(0.3)
    state = breaker.state
    assert await use(breaker, lambda: asyncio.sleep(5)) == "TimeoutError"
    return counts, (state, breaker.state)


(before, after), (opened, trial) = asyncio.run(look())
print(f"failures {before}, after a time limit {after}; {opened}, after a time limit {trial}")
sys.exit((before, after, opened, trial) != (2, 0, "half_open", "closed"))
PY
