"""Time limits and cancellation of running code: deadlines, interrupts of threads, async timeouts."""
