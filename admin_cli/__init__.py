"""The command line: `jobledger`, also called `jobs`."""
