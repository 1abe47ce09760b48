"""The names of what is measured, as figures have them. Opens nothing, so that a page can be made anywhere."""

FLEET, POSTGRESQL, SQLITE = "PostgreSQL and Redis", "PostgreSQL alone", "SQLite"
MODES = (FLEET, POSTGRESQL, SQLITE)
STOCK = "stock dramatiq on Redis"
