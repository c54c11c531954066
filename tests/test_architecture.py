"""The shape of the code: who may import what, and that a plugin comes with its test and its page."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tocsin"
MODULES = sorted(SOURCE.rglob("*.py"))
PLUGINS = [("channels", SOURCE / "channels"), ("dialects", SOURCE / "web" / "dialects")]

DRIVERS = {"aiosqlite", "asyncpg", "psycopg", "psycopg2", "sqlite3"}
# The domain is handed what it needs: no clock, no chance, no socket, no file, no log.
IMPURE = {
    "anyio", "asyncio", "httpx", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "shutil", "signal", "smtplib", "socket", "sqlalchemy", "ssl", "structlog", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib.request",
} | DRIVERS  # fmt: skip
CLOCKS = {"now", "utcnow", "today"}

# Put together so that this file does not name them itself.
REGISTRIES = [f"{name}.org" for name in ("pypi", "files.pythonhosted", "registry.npmjs", "deb.debian")]
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|opt/wheels|opt/pypi)(?:/|\b)")


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Yield the full names of all that a module of `package` imports, wherever in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports(path: Path) -> Iterator[str]:
    return imported(syntax(path), [*path.relative_to(SOURCE.parent).parent.parts])


def belongs_to(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def plugins(folder: Path) -> list[str]:
    """Names of the plugins in a folder: modules and packages, but those that start with an underscore."""
    found = [path.stem for path in folder.glob("*.py")] + [
        path.parent.name for path in folder.glob("*/__init__.py")
    ]
    return sorted(name for name in found if not name.startswith("_"))


def all_plugins() -> list[tuple[str, str]]:
    return [(kind, name) for kind, folder in PLUGINS for name in plugins(folder)]


def files_of_the_project() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_imports_point_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, check=False, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("kind", "name"), all_plugins())
def test_a_plugin_has_its_test_and_its_page(kind: str, name: str) -> None:
    assert (ROOT / "tests" / kind / f"test_{name}.py").is_file()
    assert (ROOT / "docs" / kind / f"{name}.md").is_file()


@pytest.mark.parametrize(("kind", "folder"), PLUGINS)
def test_a_page_or_test_of_a_plugin_has_its_plugin(kind: str, folder: Path) -> None:
    names = {"README", *plugins(folder)}
    pages = {path.stem for path in (ROOT / "docs" / kind).glob("*.md")}
    assert pages <= names


def test_only_the_composition_root_and_the_store_name_a_database_driver() -> None:
    named = [
        place(path)
        for path in MODULES
        if path != SOURCE / "app.py" and SOURCE / "store" not in path.parents
        if any(belongs_to(name, DRIVERS) for name in imports(path))
        or re.search(r"\+(?:aiosqlite|asyncpg|psycopg|pysqlite)\b", path.read_text(encoding="utf-8"))
    ]
    assert named == []


def test_only_the_composition_root_and_the_commands_read_settings() -> None:
    readers = [
        place(path)
        for path in MODULES
        if path != SOURCE / "app.py" and SOURCE / "cli" not in path.parents
        if any(belongs_to(name, {"tocsin.settings"}) for name in imports(path))
    ]
    assert readers == []


@pytest.mark.parametrize("path", sorted((SOURCE / "domain").rglob("*.py")), ids=lambda path: path.stem)
def test_the_domain_is_pure(path: Path) -> None:
    assert [name for name in imports(path) if belongs_to(name, IMPURE)] == []
    calls = [node.func for node in ast.walk(syntax(path)) if isinstance(node, ast.Call)]
    assert [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS] == []
    assert [call.id for call in calls if isinstance(call, ast.Name) and call.id in {"open", "print"}] == []


def test_what_runs_beside_the_jobs_needs_the_standard_library_only() -> None:
    own = {"tocsin", "tocsin.__version__", "tocsin.client"} | sys.stdlib_module_names
    foreign = {
        f"{place(path)}: {name}"
        for path in (SOURCE / "client").rglob("*.py")
        for name in imports(path)
        if name not in own and not belongs_to(name, own - {"tocsin"})
    }
    assert foreign == set()


def test_no_file_names_a_registry_or_a_path_of_the_machine_it_was_made_on() -> None:
    found = []
    for path in files_of_the_project():
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{place(path)}: {host}" for host in REGISTRIES if host in text]
        found += [f"{place(path)}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


def test_the_scanner_of_imports_sees_every_form() -> None:
    text = "import a.b\nfrom c import d\ndef f():\n    from ..store import hot\n    from . import watch\n"
    found = set(imported(ast.parse(text), ["tocsin", "engine"]))
    assert {"a.b", "c.d", "tocsin.store.hot", "tocsin.engine.watch"} <= found
