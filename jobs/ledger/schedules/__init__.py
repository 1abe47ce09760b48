"""Schedules as rows: their slots, the runs that due slots make, and which scheduler leads."""
