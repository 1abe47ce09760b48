"""What unauthenticated load costs signed-in users: an authorised GET alone, and beside many sign-ins.

The load: many concurrent sign-ins, each from another address and with another name, repeated; and connections that
send half a request head. Goal: under load the 99th percentile is at most three times the one without load (K2.4).

    python -m benchmarks.sign_in_load
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

from benchmarks.kit.figures import Figures, percentile, program
from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import places
from benchmarks.kit.requests import press, serving
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator

PATH = "/v1/sessions/current"
HALF = b"GET /v1/runs HTTP/1.1\r\nHost: localhost\r\n"


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there, there.ledger(POSTGRESQL) as place:
        shell = Operator("bench")
        create_user(place.app, shell, "ada", password="a long enough password", role="admin")
        _, secret = create_token(
            place.app, shell, user="ada", name="bench", permissions=["runs:read"], lasts=timedelta(days=1)
        )
        place.environment["JOBS_API_PROXIES"] = "127.0.0.1"
        with serving(place) as base:
            headers = {"Authorization": f"Bearer {secret}"}

            def ask(seconds: float) -> float:
                names = itertools.repeat("it")
                took = press(base, {"it": PATH}, headers, rate=given.rate, seconds=seconds, names=names)
                return percentile(took["it"], 0.99)

            ask(3.0)
            for _ in range(given.repeats):
                quiet = ask(given.seconds)
                with load_of(base, given.signing_in, given.half_open):
                    beside = ask(given.seconds)
                figures.add("authorised GET, p99", "quiet", "ms", quiet)
                figures.add("authorised GET, p99", "beside many sign-ins", "ms", beside)
                figures.add("authorised GET, p99 beside many sign-ins to quiet", POSTGRESQL, "×", beside / quiet)


@contextmanager
def load_of(base: str, signing_in: int, half_open: int) -> Iterator[None]:
    """Run the load in a process of its own during the block; print how it was answered."""
    argv = [sys.executable, "-m", "benchmarks.sign_in_load", "--load", base, str(signing_in), str(half_open)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as strangers:
        assert strangers.stdout is not None
        assert strangers.stdin is not None
        strangers.stdout.readline()
        time.sleep(1.0)
        try:
            yield
        finally:
            strangers.stdin.close()
            print("the load was answered", strangers.stdout.read().strip(), flush=True)


async def run_load(base: str, signing_in: int, half_open: int) -> None:
    """Run the load until stdin ends."""
    where = urlsplit(base)
    host, port = str(where.hostname), int(where.port or 0)
    answered: Counter[str] = Counter()
    numbers = itertools.count()

    async def sign_in() -> None:
        while True:
            n = next(numbers)
            body = json.dumps({"name": f"stranger-{n}", "password": "a long enough guess"}).encode()
            head = (
                f"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.{n >> 8 & 255}.{n & 255}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            try:
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(head.encode() + body)
                answered[(await reader.read())[9:12].decode() or "closed"] += 1
                writer.close()
            except OSError:
                answered["refused"] += 1
            # Spread the clients over time.
            await asyncio.sleep(0.5 + n % 11 / 10)

    async def hold() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(HALF)
                await reader.read()
                writer.close()
                answered["half-open, ended"] += 1

    print("here", flush=True)
    tasks = [asyncio.create_task(one()) for one in [sign_in] * signing_in + [hold] * half_open]
    await asyncio.to_thread(sys.stdin.read)
    for one in tasks:
        one.cancel()
    print(dict(answered))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        os.nice(10)
        asyncio.run(run_load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        program(
            "sign_in_load", run, rate=(50.0, "requests a second"), seconds=(20.0, "of requests in each turn"),
            signing_in=(150, "who sign in at once, each again a second after the answer"),
            half_open=(200, "connections that send half a head"),
        )  # fmt: skip
