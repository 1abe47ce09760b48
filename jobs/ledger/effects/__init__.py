"""Side effects of runs: steps, cursors, follow-ups and groups."""
