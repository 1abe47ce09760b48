"""The threads of one worker process: main loop, dramatiq threads, coroutines, watchdog, recycling."""
