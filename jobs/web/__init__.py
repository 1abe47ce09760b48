"""Parts that the web frameworks share: the request's context, workers in child processes, and the mounted pages."""
