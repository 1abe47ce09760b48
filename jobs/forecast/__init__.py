"""Forecasts: when the backlog of a queue is gone, and how many worker processes it wants."""
