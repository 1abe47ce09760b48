"""The scheduler (`jobs scheduler`): the leader turns due slots into runs; the others stand by."""
