from __future__ import annotations

import re
import stat
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from tocsin.store.schema import HEAD, MIGRATIONS, SchemaError, migrate, schema_version
from tocsin.store.sqlite import sqlite_engine
from tocsin.store.tables import metadata


def definitions(connection: Connection) -> dict[str, list[str]]:
    """The words that SQLite has for every table and index; compare_metadata knows no partial index."""
    query = text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'")
    return {name: sorted(re.findall(r"[^\s,()\"]+", sql)) for name, sql in connection.execute(query)}


def made_by_metadata(path: Path) -> Engine:
    engine = sqlite_engine(path)
    metadata.create_all(engine)
    return engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "tocsin.db"
    migrate(f"sqlite:///{path}")
    return path


def test_upgrade_head_equals_the_metadata(path: Path) -> None:
    with sqlite_engine(path).connect() as connection:
        options = {"compare_type": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert found == []


def test_upgrade_head_says_the_very_same_to_sqlite(path: Path, tmp_path: Path) -> None:
    with sqlite_engine(path).connect() as migrated, made_by_metadata(tmp_path / "m.db").connect() as made:
        assert definitions(migrated) == definitions(made)


def test_head_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_database_at_head_is_left_alone_and_quickly(path: Path) -> None:
    before = path.stat().st_mtime_ns
    started_at = time.perf_counter()
    migrate(f"sqlite:///{path}")
    assert time.perf_counter() - started_at < 0.2
    assert path.stat().st_mtime_ns == before


def test_a_database_is_for_its_owner_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_database_of_a_later_version_is_refused(path: Path) -> None:
    with sqlite_engine(path).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer"):
        migrate(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    path.write_text("this is a letter to my aunt, and by no means a database\n" * 100)
    with pytest.raises(SchemaError, match="not a database"):
        migrate(f"sqlite:///{path}")


def test_an_empty_database_has_no_version(tmp_path: Path) -> None:
    with sqlite_engine(tmp_path / "empty.db").connect() as connection:
        assert schema_version(connection) is None


def test_a_migration_can_be_taken_back(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with sqlite_engine(path).connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
