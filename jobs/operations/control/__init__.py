"""What operators do to queues, kinds and workers: pause, resume, restart, stop."""
