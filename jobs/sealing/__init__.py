"""Sealed arguments, results and steps: encrypted in the ledger, readable where a key is."""
