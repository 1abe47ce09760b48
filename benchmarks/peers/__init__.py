"""Comparison with other libraries in one run: the same job, the same servers, each in an environment of its own."""
