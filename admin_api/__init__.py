"""The HTTP API and its pages, over the same operations that the command line uses."""
