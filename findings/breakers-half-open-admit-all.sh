#!/usr/bin/env bash
# circuitbreaker 2.1.3, purgatory 3.0.1, aiobreaker 1.2.0: a half-open circuit lets all waiting calls through at once.
#
# Guess: half open means one trial call. Others are refused until its outcome is known.
# Behaviour: as long as no trial has ended, every call is let through: twenty of twenty reach the service in all three.
# Seen on 2026-11-30: {'circuitbreaker': 20, 'purgatory': 20, 'aiobreaker': 20} of 20 calls
# Why it matters: workers that retry pile up behind an open circuit. When it half opens they all call at one moment, and
# the service that just came back gets the load that the breaker was to keep from it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check circuitbreaker==2.1.3 purgatory==3.0.1 aiobreaker==1.2.0
venv/bin/python - <<'PY'
import asyncio
import sys
from datetime import timedelta

from aiobreaker import CircuitBreaker as AioBreaker
from circuitbreaker import CircuitBreaker
from purgatory import AsyncCircuitBreakerFactory


class Service:
    reached, is_down = 0, True

    async def call(self):
        if self.is_down:
            raise ConnectionRefusedError
        self.reached += 1
        await asyncio.sleep(0.1)


async def count(wrap):
    """How many of twenty concurrent calls reach the service once the open circuit has waited long enough."""
    service = Service()
    await asyncio.gather(wrap(service.call), return_exceptions=True)
    await asyncio.gather(wrap(service.call), return_exceptions=True)
    service.is_down = False
    await asyncio.sleep(0.4)
    await asyncio.gather(*(wrap(service.call) for _ in range(20)), return_exceptions=True)
    return service.reached


async def look():
    plain = CircuitBreaker(failure_threshold=1, recovery_timeout=0.2)
    aio = AioBreaker(fail_max=1, timeout_duration=timedelta(seconds=0.2))
    factory = AsyncCircuitBreakerFactory(default_threshold=1, default_ttl=0.2)

    async def purgatory(call):
        async with await factory.get_breaker("service"):
            return await call()

    wraps = {"circuitbreaker": plain.call_async, "purgatory": purgatory, "aiobreaker": aio.call_async}
    return {name: await count(wrap) for name, wrap in wraps.items()}


seen = asyncio.run(look())
print(seen, "of 20 calls")
sys.exit(set(seen.values()) != {20})
PY
