"""The worker: processes and threads that perform runs (`jobs worker`)."""
