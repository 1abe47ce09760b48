"""Copies of parts of a ledger: the rows of some runs, with what explains them, into a ledger of their own."""
