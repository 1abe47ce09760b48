"""One module a page: it asks one service and renders the answer."""
