"""Who acts and what is recorded of it: operators and permissions, audit entries, progress, idempotent requests."""
