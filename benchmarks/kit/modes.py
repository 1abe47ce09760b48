"""The names of the measured systems, as figures use them. Opens no connection, so that a page can be made
anywhere."""

FLEET, POSTGRESQL, SQLITE = "PostgreSQL and Redis", "PostgreSQL alone", "SQLite"
MODES = (FLEET, POSTGRESQL, SQLITE)
STOCK = "stock dramatiq on Redis"
