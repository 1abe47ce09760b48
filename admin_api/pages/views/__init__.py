"""One module per page: it calls one operation and renders the result."""
