"""What an application calls: the Job base class, enqueueing many, looking runs up, declared schedules."""
