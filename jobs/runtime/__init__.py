"""What a job sees of its own run while it performs: steps, cursor, transaction, context."""
