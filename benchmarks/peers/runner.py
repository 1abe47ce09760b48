"""A worker process of a library that has no command for it: ``python -m benchmarks.peers.runner ADAPTER``."""

from __future__ import annotations

import sys

from benchmarks.peers.adapters import load
from benchmarks.peers.peer import Place

if __name__ == "__main__":
    load(sys.argv[1]).work(Place.of_environment())
