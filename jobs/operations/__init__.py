"""What operators do. Each service checks its permission, and what changes something leaves an audit row."""
