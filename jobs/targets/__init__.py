"""Targets: what operators and classes promise of queues and kinds, and how fast the error budget of a promise burns."""
