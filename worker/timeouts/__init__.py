"""Time limits and cancellation of code that runs: deadlines, interrupts of threads, async timeouts."""
