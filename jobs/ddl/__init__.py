"""Changes to tables that are in use: short waits for locks, and indexes built while others write."""
