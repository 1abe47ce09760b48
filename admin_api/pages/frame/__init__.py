"""What every page shares: rendering, template filters, who is signed in, cached pages, forms."""
