"""The scheduler (`jobs scheduler`): one leads and turns due slots into runs; others stand by."""
