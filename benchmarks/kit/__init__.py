"""What every benchmark shares: servers, workers as processes, yardsticks, and how figures are kept and shown."""
