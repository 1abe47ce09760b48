"""Enqueues with one library, in that library's environment, and prints what it took as JSON.

python -m benchmarks.peers.client ADAPTER prepare|one|many|late|join|keyed [COUNT] [RATE]
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.peers.adapters import load
from benchmarks.peers.peer import Calls, Peer, Place

CHUNK = 1_000
"""Jobs of one bulk call."""
WARM = 50
"""Calls before those that are timed: pools, plans and caches."""


async def _timed(work: Callable[[], Awaitable[None]], count: int) -> dict[str, float]:
    began, used = time.perf_counter(), time.process_time()
    await work()
    return {
        "rate": count / (time.perf_counter() - began),
        "cpu_ms": (time.process_time() - used) * 1000 / count,
    }


async def one(calls: Calls, count: int) -> dict[str, float]:
    """One call after another."""
    for number in range(WARM):
        await calls.one(number)

    async def work() -> None:
        for number in range(count):
            await calls.one(number)

    return await _timed(work, count)


async def many(calls: Calls, count: int) -> dict[str, float]:
    """In calls of ``CHUNK``; one by one, and without figures, where there is no such call."""
    if calls.many is None:
        for number in range(count):
            await calls.one(number)
        return {}

    async def work() -> None:
        assert calls.many is not None
        for start in range(0, count, CHUNK):
            await calls.many(range(start, min(start + CHUNK, count)))

    return await _timed(work, count)


async def keyed(calls: Calls, count: int) -> dict[str, float]:
    """In calls of ``CHUNK``, over all keys in turn."""
    assert calls.keyed is not None
    for start in range(0, count, CHUNK):
        await calls.keyed(range(start, min(start + CHUNK, count)))
    return {}


async def late(calls: Calls, count: int, rate: float) -> dict[str, float]:
    """At even moments, whether or not the last one has been performed."""
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        await calls.late(time.time())
    return {}


async def join(calls: Calls, width: int) -> dict[str, float]:
    """One join; tells when it was enqueued, by this machine's clock."""
    assert calls.join is not None
    began = time.time()
    await calls.join(width)
    return {"began": began}


async def main(peer: Peer, what: str, *numbers: float) -> dict[str, float]:
    place = Place.of_environment()
    if what == "prepare":
        await peer.prepare(place)
        return {}
    async with peer.client(place) as calls:
        if what == "late":
            return await late(calls, int(numbers[0]), numbers[1])
        return await {"one": one, "many": many, "join": join, "keyed": keyed}[what](calls, int(numbers[0]))


def run(argv: list[str]) -> None:
    found = main(load(argv[0]), argv[1], *map(float, argv[2:]))
    try:
        import uvloop  # where the library brings it, as its own command would
    except ImportError:
        print(json.dumps(asyncio.run(found)))
    else:
        print(json.dumps(uvloop.run(found)))


if __name__ == "__main__":
    run(sys.argv[1:])
