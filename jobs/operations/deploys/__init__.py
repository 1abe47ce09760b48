"""Checks before a deploy: whether the arguments in the ledger fit the code at hand."""
