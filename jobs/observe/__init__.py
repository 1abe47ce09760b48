"""Subscribers of the core's events: logs, metrics, error reports."""
