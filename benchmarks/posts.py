"""Runs recorded over HTTP: one by ``POST /v1/runs``, beside a thousand by ``POST /v1/runs/bulk``.

The API is a process of its own, and the client keeps its connection. Both take turns in each round.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from benchmarks.kit.figures import Figures, program, stopwatch
from benchmarks.kit.modes import MODES
from benchmarks.kit.places import places
from benchmarks.kit.requests import serving
from benchmarks.kit.work import TEXT
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator

WARM = 20


class Client:
    """Posts JSON over one connection."""

    def __init__(self, base: str, secret: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def post(self, path: str, body: Any) -> float:
        """Seconds of the request that was accepted. The API limits how many changes come in a short time: it waits.

        Raises:
            SystemExit: the status is neither 201 nor 429.
        """
        while True:
            with stopwatch() as took:
                self._connection.request("POST", path, json.dumps(body), self._headers)
                response = self._connection.getresponse()
                said = response.read()
            if response.status == 201:
                return took()
            if response.status != 429:
                raise SystemExit(f"{path}: {response.status} {said[:300]!r}")
            time.sleep(float(response.headers.get("Retry-After", 1)))

    def close(self) -> None:
        self._connection.close()


def new_run(number: int) -> dict[str, Any]:
    return {"kind": "Noop", "arguments": {"a": number, "b": TEXT}}


def run(given: argparse.Namespace, figures: Figures) -> None:
    with places() as there:
        for mode in MODES:
            with there.ledger(mode, JOBS_IMPORTS="benchmarks.kit.work") as place:
                shell = Operator("bench")
                create_user(place.app, shell, "ada", password="a long enough password", role="admin")
                _, secret = create_token(
                    place.app, shell, user="ada", name="bench", permissions=["runs:enqueue"], lasts=timedelta(days=1)
                )
                with serving(place) as base, closing(Client(base, secret)) as client:
                    measure(client, mode, given, figures)


def measure(client: Client, mode: str, given: argparse.Namespace, figures: Figures) -> None:
    many = {"runs": [new_run(number) for number in range(given.bulk)]}
    for _ in range(WARM):
        client.post("/v1/runs", new_run(0))
    client.post("/v1/runs/bulk", many)
    for _ in range(given.repeats):
        singles = sum(client.post("/v1/runs", new_run(number)) for number in range(given.singles))
        one_by_one, together = given.singles / singles, given.bulk / client.post("/v1/runs/bulk", many)
        figures.add("single posts", mode, "runs/s", one_by_one)
        figures.add(f"one post of {given.bulk:,}", mode, "runs/s", together)
        figures.add("runs by a bulk post against single posts", mode, "times", together / one_by_one)


if __name__ == "__main__":
    program(
        "posts", run,
        singles=(60, "single posts of each round"), bulk=(1_000, "runs of one bulk post; the API takes 1,000 at most"),
    )  # fmt: skip
