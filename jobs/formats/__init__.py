"""Text forms of values: durations, sizes, queue weights, text made safe to show, failure fingerprints."""
