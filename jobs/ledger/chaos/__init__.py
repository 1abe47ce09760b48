"""Chaos in the ledger: its mark, the workers started for it, effects, and what must hold afterwards."""
