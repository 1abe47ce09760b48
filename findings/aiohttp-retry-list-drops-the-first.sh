#!/usr/bin/env bash
# aiohttp-retry 2.9.1: ListRetry never uses the first wait of its list.
#
# Guess: ListRetry([0.2, 0.4, 0.8]) waits 0.2, 0.4 and 0.8 s between four tries.
# Behaviour: the length of the list is the number of tries, and waits are taken from the second entry on. A list of one
# entry makes one try and no retry.
# Seen on 2026-12-01: waits: [0.2, 0.4, 0.8]: [0.4, 0.8], [0.2]: []
# Why it matters: [1, 60] is written to try soon and then once more after a minute. There is one retry and it comes
# after the minute; [5], for one retry, is none at all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiohttp-retry==2.9.1 aiohttp==3.14.5
venv/bin/python - <<'PY'
import asyncio
import sys

from aiohttp import web
from aiohttp_retry import ListRetry, RetryClient


async def serve(seen):
    async def refuse(request):
        seen.append(asyncio.get_running_loop().time())
        return web.Response(status=503)

    application = web.Application()
    application.router.add_get("/", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}/"


async def look(waits):
    seen = []
    runner, url = await serve(seen)
    async with RetryClient(retry_options=ListRetry(waits)) as client, client.get(url):
        pass
    await runner.cleanup()
    return [round(after - before, 1) for before, after in zip(seen, seen[1:], strict=False)]


long, short = asyncio.run(look([0.2, 0.4, 0.8])), asyncio.run(look([0.2]))
print(f"waits: [0.2, 0.4, 0.8]: {long}, [0.2]: {short}")
sys.exit(not (len(long) == 2 and long[0] >= 0.4 and long[1] >= 0.8 and short == []))
PY
