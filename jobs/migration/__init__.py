"""The tables' revision, and migrations that change tables while others use them."""
