"""What operators do: each service checks its permission, and each change leaves an audit entry."""
