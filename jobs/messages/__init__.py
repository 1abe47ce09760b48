"""dramatiq actors and messages as jobs and runs of the ledger."""
