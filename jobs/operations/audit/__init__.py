"""Operators and permissions, and the records of what they do: audit entries, progress, idempotent requests."""
