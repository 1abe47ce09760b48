"""One run performed once: prepare, perform, decide on a retry, and the outcome."""
