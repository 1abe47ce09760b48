"""The range of priorities. A module without imports, so that declaring a job loads no database code."""

MIN_PRIORITY, MAX_PRIORITY = -1000, 1000
"""Smaller first. Source: decision; priority and a millisecond moment must fit the 53 bits of a Redis score."""
