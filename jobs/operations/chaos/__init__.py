"""Chaos on a staging ledger: its mark, the plan of faults, the run, and the proof of the promises afterwards."""
