"""What a sealed field costs: ``python -m benchmarks.sealed`` seals and opens one small field, without a ledger.

The cost of a run is the difference to a job with the same field in clear: made and written at enqueue, read at perform.
Both take turns, and what counts is the processor time of the best of many short rounds: other programs do not count.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jobs
from jobs import boot
from jobs.definition.arguments import read_arguments
from jobs.sealing.keys import HASH, new_key

ROUNDS, COUNT = 40, 500
"""Rounds, and calls in each."""
CARD = "4111 1111 1111 1"


class ClearCard(jobs.Job):
    card: str

    def perform(self) -> None: ...


class SealedCard(jobs.Job):
    card: jobs.Sealed[str]

    def perform(self) -> None: ...


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys")
        keys.touch(mode=0o600)
        keys.write_text(f"first {new_key()}\n{HASH} {new_key()}\n")
        app = boot.configure(database_url=f"sqlite:///{folder}/jobs.db", seal_keys_file=keys)
        run = SealedCard(card=CARD).new_run(app)
        clear = ClearCard(card=CARD).new_run(app)

        def open_sealed() -> None:
            text, _ = app.seals.open_arguments(app, run.arguments, run.id)
            read_arguments(SealedCard, text, kind="SealedCard")

        costs = {
            "enqueue": _difference(
                lambda: SealedCard(card=CARD).new_run(app).arguments,
                lambda: ClearCard(card=CARD).new_run(app).arguments,
            ),
            "perform": _difference(open_sealed, lambda: read_arguments(ClearCard, clear.arguments, kind="ClearCard")),
        }
        for name, cost in costs.items():
            print(f"{name}: {cost:.1f} us more with a sealed field of {len(CARD)} characters")
        print(f"a run: {sum(costs.values()):.1f} us")
        app.close()


def _difference(sealed: Callable[[], object], clear: Callable[[], object]) -> float:
    """Microseconds that a call of the first takes more than one of the second."""
    best = {sealed: float("inf"), clear: float("inf")}
    for _ in range(ROUNDS):
        for do in best:
            began = time.process_time()
            for _ in range(COUNT):
                do()
            best[do] = min(best[do], time.process_time() - began)
    return (best[sealed] - best[clear]) / COUNT * 1e6


if __name__ == "__main__":
    main()
