"""Stored values: arguments and results of any size, kept in a store, while the row of a run holds a reference."""
