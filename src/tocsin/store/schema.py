"""The schema's version: what a database has, and how it gets to ours.

Migrations expand first and contract in a later version, and never rewrite a large table at start.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from tocsin.store.sqlite import sqlite_engine

HEAD = "0001"
MIGRATIONS = Path(__file__).parent / "migrations"
SQLITE = "sqlite:///"

# Any number; it must only be the same on every node.
_LOCK = 7_024_672


class SchemaError(Exception):
    """One line that says why this database cannot be used."""


def schema_version(connection: Connection) -> str | None:
    """The version of a database, None where it holds no schema of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def asyncpg_url(url: str) -> str:
    """`postgresql://…` as SQLAlchemy needs it to take the driver asyncpg."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


def migrate(url: str) -> None:
    """Bring the database at `sqlite:///path` or `postgresql://…` to our version; make it where it is missing.

    Quick where nothing is to be done. SchemaError for a database that a later Tocsin has migrated, or that
    cannot be opened.
    """
    try:
        if url.startswith(SQLITE):
            _migrate_sqlite(Path(url.removeprefix(SQLITE)))
        else:
            asyncio.run(_migrate_postgresql(url))
    except (DBAPIError, OSError) as error:
        reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise SchemaError(f"the database cannot be opened: {reason}") from None


def upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the caller's transaction."""
    # Alembic takes a while to import, and most starts have nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    version = schema_version(connection)
    if version == HEAD:
        return
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    if version is not None and version > HEAD:
        raise SchemaError(f"the database has schema {version}, which is newer than this Tocsin's {HEAD}")
    command.upgrade(config, "head")


def _migrate_sqlite(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It holds ping tokens and sealed secrets; SQLite's other files take their mode from this one.
    if not path.exists():
        path.touch(mode=0o600)
    engine = sqlite_engine(path)
    try:
        with engine.connect() as connection:
            if schema_version(connection) == HEAD:
                return
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(connection)
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


async def _migrate_postgresql(url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    engine = create_async_engine(asyncpg_url(url))
    try:
        async with engine.begin() as connection:
            if await connection.run_sync(schema_version) != HEAD:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                await connection.run_sync(upgrade)
    finally:
        await engine.dispose()
