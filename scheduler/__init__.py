"""The scheduler: one leads and turns slots that are due into runs, others stand by. ``jobs scheduler``."""
