"""What a run brings about beside its own state: steps, cursors, follow-ups and groups."""
