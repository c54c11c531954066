"""How commands reach the database: one short transaction, beside a server that may be running."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import Connection

from tocsin.settings import Settings
from tocsin.store.schema import HEAD, SQLITE, asyncpg_url, migrate, schema_version
from tocsin.store.sqlite import sqlite_engine

Result = TypeVar("Result")
Work = Callable[[Connection], Result]

data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of the database (TOCSIN_DATA)."
)


def read(settings: Settings, work: Work[Result]) -> Result:
    """Run `work` in a read transaction on a database of exactly our schema."""
    return _run(settings, "BEGIN", work)


def write(settings: Settings, work: Work[Result]) -> Result:
    """Run `work` in a write transaction on a database of exactly our schema."""
    return _run(settings, "BEGIN IMMEDIATE", work)


def make_if_missing(settings: Settings) -> None:
    """Make the database where there is none yet; one that is there is left as it is."""
    path = sqlite_path(settings)
    if path is None or (path.exists() and path.stat().st_size):
        return
    _refuse_stranger(path)
    migrate(_url(settings))


def sqlite_path(settings: Settings) -> Path | None:
    """The file of the embedded database, None with PostgreSQL."""
    url = _url(settings)
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def _run(settings: Settings, begin: str, work: Work[Result]) -> Result:
    def checked(connection: Connection) -> Result:
        _refuse_other_schema(connection)
        return work(connection)

    path = sqlite_path(settings)
    if path is None:
        return asyncio.run(_run_on_postgresql(_url(settings), checked))
    if not path.exists():
        raise click.ClickException(f"there is no database at {path}: `tocsin serve` makes it")
    _refuse_stranger(path)
    return _run_on_sqlite(path, begin, checked)


def _run_on_sqlite(path: Path, begin: str, work: Work[Result]) -> Result:
    engine = sqlite_engine(path)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(begin)
            result = work(connection)
            connection.exec_driver_sql("COMMIT")
            return result
    finally:
        engine.dispose()


async def _run_on_postgresql(url: str, work: Work[Result]) -> Result:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(asyncpg_url(url))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _refuse_stranger(path: Path) -> None:
    """Files that another user makes here are files that the server cannot write."""
    for place in (path.parent, path):
        if place.exists() and (owner := place.stat().st_uid) != os.geteuid():
            raise click.ClickException(f"{place} belongs to user {_name(owner)}: run this as that user")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _refuse_other_schema(connection: Connection) -> None:
    version = schema_version(connection)
    if version != HEAD:
        raise click.ClickException(
            f"the database has schema {version or 'none'}, this command needs {HEAD}:"
            " use the tocsin that the server runs, or start the server of this version first"
        )


def _url(settings: Settings) -> str:
    return settings.database_url.get_secret_value()
