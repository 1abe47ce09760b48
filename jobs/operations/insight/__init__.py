"""The state of the whole platform: overview, alerts, queues, kinds, dead letters, health, and their cache."""
