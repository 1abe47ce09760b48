"""Shared code of the benchmarks: servers, worker processes, yardsticks, and how figures are stored and shown."""
