"""Reads of runs: selectors and their query plans, pagination, and reports."""
