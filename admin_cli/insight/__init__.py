"""Commands about the whole platform: status, queues, kinds, workers, audit, check."""
