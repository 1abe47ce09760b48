"""Background maintenance that any process may do: rescue, reconcile, prune, dead-letter unknown kinds."""
