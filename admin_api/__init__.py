"""The admin API and its pages: HTTP over the same operations that the command line uses."""
