"""Incident bundles: runs with what explains them in one file, which opens anywhere without a server."""
