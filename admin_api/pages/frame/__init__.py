"""Shared parts of pages: rendering, template filters, authentication, the page cache and forms."""
