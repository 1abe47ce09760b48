"""Alembic's entry point. Imports nothing of ours: the caller passes the connection and the names."""

from alembic import context
from sqlalchemy import func, select
from sqlalchemy.schema import CreateSchema

config = context.config
connection = config.attributes.get("connection")
if connection is None and not context.is_offline_mode():
    raise SystemExit("Run these migrations with: jobledger migrate up")

options = {
    "version_table": config.attributes.get("version_table", "jobs_alembic_version"),
    "version_table_schema": config.attributes.get("schema"),
    "target_metadata": None,
    "transactional_ddl": True,
    # On tables in use each revision has its own transaction, and no other connection waits between its parts.
    "transaction_per_migration": not config.attributes.get("is_fresh", False),
}

if context.is_offline_mode():
    context.configure(
        dialect_name=config.attributes.get("dialect", "postgresql"),
        # The style of psycopg would double each % in the bodies of functions.
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        as_sql=True,
        **options,
    )
else:
    context.configure(connection=connection, **options)
with context.begin_transaction():
    schema = config.attributes.get("schema")
    if context.is_offline_mode() and config.attributes.get("dialect") == "postgresql":
        if not config.attributes.get("is_fresh"):
            context.execute("SET statement_timeout = 0")
            context.execute("SET lock_timeout = '100ms'")
        if schema:
            quoted = context.get_context().dialect.identifier_preparer.quote_identifier(schema)
            context.execute(CreateSchema(schema, if_not_exists=True))
            context.execute(select(func.set_config("search_path", quoted, bool(config.attributes.get("is_fresh")))))
    context.run_migrations()
