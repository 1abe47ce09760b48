"""Services for sealed values: open one for a person, seal all again with another key, forget a subject."""
