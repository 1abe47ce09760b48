"""Runs performed by a plain dramatiq worker, and the hooks of dramatiq middleware."""
