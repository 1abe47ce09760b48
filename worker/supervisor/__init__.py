"""The parent process: starts, watches, replaces and stops worker processes."""
