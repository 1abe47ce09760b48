"""The pages that operators use in a browser."""
