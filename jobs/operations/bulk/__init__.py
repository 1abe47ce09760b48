"""Actions on many runs: planned first, then performed in audited batches; they can be undone."""
