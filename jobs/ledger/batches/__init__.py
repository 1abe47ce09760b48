"""Batches: members that are counted until the last has ended, and what their ends cause."""
