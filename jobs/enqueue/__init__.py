"""The write path: insert runs, then publish them to the ready index and emit events after the commit."""
