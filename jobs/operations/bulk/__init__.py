"""Actions on many runs: planned first, then carried out in audited batches, and undone."""
