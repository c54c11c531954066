"""What is shipped: the wheel is whole and starts alone, and the pinned files install it anywhere."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

import tocsin

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tocsin"
PINNED = re.compile(r"^(?P<name>[a-z0-9-]+)(?:\[[a-z,-]+\])?==\S+ (?:; .+ )?\\$")


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TOCSIN_", "PYTHON"))}
    result = subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, check=False, text=True, timeout=100
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with the dependencies but not the source of this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-deps",
        "--no-index", wheel)  # fmt: skip
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    # Lines of a .pth file add folders, but the .pth files in those are not read: the editable
    # install of this repository stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    # Modules, and what is none: migrations, templates, static files.
    files = {
        path.relative_to(SOURCE.parent).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as archive:
        assert files <= set(archive.namelist())


def test_the_wheel_names_its_licence_and_version(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
    assert f"\nVersion: {tocsin.__version__}\n" in text
    assert "\nLicense-Expression: MIT\n" in text


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "bin" / "python", "-c", "import tocsin; print(tocsin.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed)


def test_the_installed_wheel_tells_its_version(installed: Path, tmp_path: Path) -> None:
    assert tocsin.__version__ in run(installed / "bin" / "tocsin", "version", cwd=tmp_path)


def pinned(name: str) -> dict[str, list[str]]:
    """Return the pinned names of a requirements file, each with its lines of hashes."""
    found: dict[str, list[str]] = {}
    hashes: list[str] = []
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("    --hash=sha256:"):
            hashes.append(line)
            continue
        match = PINNED.match(line)
        assert match, f"{name}: not a pinned requirement: {line}"
        hashes = found.setdefault(match["name"], [])
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_by_hash_and_name_no_index(name: str) -> None:
    found = pinned(name)
    assert found
    assert all(found.values())
    assert "://" not in (ROOT / name).read_text()


def test_development_runs_on_what_is_shipped() -> None:
    shipped, developed = (
        set((ROOT / name).read_text().split("\n")) for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert {line for line in shipped if "==" in line} <= developed


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {re.split(r"[\[<>=;]", line)[0] for line in project["project"]["dependencies"]}
    tools = {re.split(r"[\[<>=;]", line)[0] for line in project["dependency-groups"]["dev"]}
    assert named <= pinned("requirements.txt").keys()
    assert named | tools <= pinned("requirements-dev.txt").keys()


def top_level_imports() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_the_package_imports_only_what_is_shipped_with_it() -> None:
    shipped = pinned("requirements.txt").keys()
    of_module = packages_distributions()
    foreign = set(top_level_imports()) - sys.stdlib_module_names - {"tocsin"}
    missing = {
        module
        for module in foreign
        if not {name.lower().replace("_", "-") for name in of_module.get(module, [])} & shipped
    }
    assert missing == set()
