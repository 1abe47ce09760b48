"""Faults for worker processes of this host: kills, stops and thaws."""
