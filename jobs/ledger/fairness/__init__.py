"""Fair turns: within a queue and priority, the tenants of runs take turns, by weight."""
