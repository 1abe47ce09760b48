"""The messages and shared memory between supervisor, worker process and child process."""
