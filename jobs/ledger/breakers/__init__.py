"""Breakers: failures are counted, a slice of runs that fails is parked, and canaries find out when it works again."""
