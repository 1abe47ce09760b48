"""What only SQLite needs: connection settings, lock files, a queue of writers, and change detection."""
