"""The ledger's metrics: gauges that are read from the ledger when they are asked for, each sort in a module."""
