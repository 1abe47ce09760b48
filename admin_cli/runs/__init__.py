"""Commands about runs: list, show, why, enqueue, and actions on many."""
