"""Targets in the ledger: those set and declared, counts of the runs that ended under them, and their error budgets."""
