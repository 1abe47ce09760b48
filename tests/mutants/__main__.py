"""``python -m tests.mutants``: plants each break in a copy of the tree, and says which ones no test notices.

Exit status 1: a break survived that ``survivors.txt`` does not list, one that it lists was killed, or one could not be
planted or judged.
"""

from __future__ import annotations

import argparse
import queue
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from tests.mutants.breaks import Break, read_breaks, read_survivors
from tests.mutants.planting import KILLED, SURVIVED, UNCLEAR, Copy
from tests.servers import PostgresServer, RedisServer


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    breaks = _chosen(read_breaks(), asked)
    if asked.list:
        print("\n".join(one.name for one in breaks))
        return 0
    stale = {one.name: problem for one in breaks if (problem := one.problem())}
    for name, problem in stale.items():
        print(f"stale     {name}: {problem}")
    breaks = [one for one in breaks if one.name not in stale]
    began = time.monotonic()
    results = _plant_all(breaks, workers=asked.workers, limit_seconds=asked.limit)
    if results is None:
        return 1
    listed = read_survivors()
    survived = {name for name, outcome in results.items() if outcome == SURVIVED}
    unclear = {name for name, outcome in results.items() if outcome == UNCLEAR}
    new = sorted(survived - listed)
    gone = sorted(name for name, outcome in results.items() if outcome == KILLED and name in listed)
    print(
        f"{len(results)} breaks in {time.monotonic() - began:.0f} s: {len(results) - len(survived) - len(unclear)} "
        f"killed, {len(survived)} survived, {len(unclear)} unclear, {len(stale)} stale"
    )
    for name in new:
        print(f"No test notices {name!r}: write one that does.")
    for name in gone:
        print(f"A test notices {name!r}: take it out of tests/mutants/survivors.txt.")
    return 1 if new or gone or unclear or stale else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help="breaks whose name contains NAME (again: more)")
    parser.add_argument("--count", metavar="N", type=int, help="a random sample of N breaks")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="the sample's seed (0)")
    parser.add_argument("--limit", metavar="SECONDS", type=float, default=180.0, help="a break's time limit (180)")
    parser.add_argument("--workers", metavar="N", type=int, default=2, help="breaks tested at the same time (2)")
    parser.add_argument("--list", action="store_true", help="print the names, and test nothing")
    return parser


def _chosen(breaks: list[Break], asked: argparse.Namespace) -> list[Break]:
    if asked.only:
        breaks = [one for one in breaks if any(part in one.name for part in asked.only)]
    if not breaks:
        raise SystemExit("No break has such a name; --list prints them.")
    if asked.count is not None and asked.count < len(breaks):
        chosen = set(random.Random(asked.seed).sample([one.name for one in breaks], asked.count))
        breaks = [one for one in breaks if one.name in chosen]
    return breaks


def _plant_all(breaks: Sequence[Break], *, workers: int, limit_seconds: float) -> dict[str, str] | None:
    """What became of each break, by name; None if their tests fail without any break."""
    with ExitStack() as stack:
        postgres = stack.enter_context(closing(PostgresServer()))
        redis = stack.enter_context(closing(RedisServer()))
        postgres.start()
        redis.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))
        # One Redis for each copy: a test empties the one that it uses.
        servers = {"JOBS_TEST_DATABASE_URL": postgres.url}
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(max(1, min(workers, len(breaks)))):
            url = redis.url.rpartition("/")[0] + f"/{number}"
            copies.put(Copy(folder / str(number), {**servers, "JOBS_TEST_REDIS_URL": url}))
        first = copies.get()
        first.check()
        tests = sorted({test for one in breaks for test in one.tests})
        print(f"{len(breaks)} breaks, {workers} at a time; first their tests without a break", flush=True)
        status, said = first.run(tests, limit_seconds=1800)
        copies.put(first)
        if status != 0:
            print(f"The tests fail without a break:\n{said[-2000:]}")
            return None

        def plant(planted: Break) -> tuple[str, str]:
            copy = copies.get()
            try:
                began = time.monotonic()
                outcome, why = copy.plant(planted, limit_seconds=limit_seconds)
                print(f"{outcome:9} {planted.name} ({time.monotonic() - began:.0f} s): {why}", flush=True)
                return planted.name, outcome
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(max(1, workers)) as pool:
            return dict(pool.map(plant, breaks))


if __name__ == "__main__":
    sys.exit(main())
