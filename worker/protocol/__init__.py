"""What supervisor, worker process and child process tell each other."""
