"""Stored values in the ledger: where each is, which runs hold a reference to it, and when its content is deleted."""
