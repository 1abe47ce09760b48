"""Writes docs/performance.md from the results of a run."""
