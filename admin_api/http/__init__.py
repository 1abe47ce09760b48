"""What every request meets: the guard, sign-in, routing, envelopes, errors, paging, and the process's state."""
