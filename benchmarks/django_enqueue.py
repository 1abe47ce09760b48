"""Enqueueing a Django task inside ``atomic()``, beside ``Model.objects.create``.

    python -m benchmarks.django_enqueue [--url postgresql://…] [--repeats 9] [--calls 500]

Both run in one process, in turns, each round in one transaction that commits. Prints the median time of a call, and the
median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a PostgreSQL database that may be filled; without it, SQLite in a new file")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--calls", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'project.db'}"
        os.environ.update(DJANGO_SETTINGS_MODULE="tests.django_project.settings", TEST_DJANGO_DATABASE_URL=url)
        rounds = measure(given.repeats, given.calls)
    creates, enqueues = zip(*rounds, strict=True)
    ratio = statistics.median(enqueue / create for create, enqueue in rounds)
    print(f"Model.objects.create  {statistics.median(creates) * 1e6:7.1f} µs")
    print(f"task.enqueue          {statistics.median(enqueues) * 1e6:7.1f} µs")
    print(f"ratio                 {ratio:7.2f}")


def measure(repeats: int, calls: int) -> list[tuple[float, float]]:
    """Seconds of a create and of an enqueue, for each round."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from tests.django_project.shop import tasks
    from tests.django_project.shop.models import Order

    create, enqueue = lambda: Order.objects.create(item="book"), lambda: tasks.charge.enqueue(7)
    for call in (create, enqueue):
        seconds(call, 50)
    return [(seconds(create, calls), seconds(enqueue, calls)) for _ in range(repeats)]


def seconds(call: Callable[[], Any], calls: int) -> float:
    """The time of one call, of many in one block."""
    from django.db import transaction

    with transaction.atomic():
        began = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - began) / calls


if __name__ == "__main__":
    main()
