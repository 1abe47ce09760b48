#!/usr/bin/env bash
# aiolimiter 1.3.0: a caller that asks for much waits until no caller that asks for little is left.
#
# Guess: who waits first is served first, whatever the amount.
# Behaviour: each time something has leaked out, whoever fits goes on. A call of 8 of 10 that waits first ends after
# thirty calls of 1 that came later, since they take each place as it gets free.
# Seen on 2026-11-30: the heavy call was number 31 of 31
# Why it matters: a limiter shared by single sends and by batches, as for an API that counts items. Under steady load
# the batch never runs, and nothing shows that it waits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiolimiter==1.3.0
venv/bin/python - <<'PY'
import asyncio
import sys

from aiolimiter import AsyncLimiter


async def look():
    limiter, order = AsyncLimiter(10, time_period=0.5), []

    async def call(amount):
        await limiter.acquire(amount)
        order.append(amount)

    await limiter.acquire(10)
    heavy = asyncio.create_task(call(8))
    await asyncio.sleep(0)
    await asyncio.gather(heavy, *(call(1) for _ in range(30)))
    return order


order = asyncio.run(look())
print(f"the heavy call was number {order.index(8) + 1} of {len(order)}")
sys.exit(order.index(8) != 30)
PY
