"""Child processes that perform one run at a time, apart from the worker process."""
