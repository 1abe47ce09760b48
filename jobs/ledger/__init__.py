"""Every read and write of the ledger's tables; the only place that writes SQL about runs."""
