"""Commands of chaos: mark a staging ledger for it, and run it there."""
