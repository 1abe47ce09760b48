"""The wheel is the product: it holds what runs, nothing else, and works where there is no checkout."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("jobs", "worker", "scheduler", "admin_cli", "admin_api")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What ``command`` says; a test that fails here shows what it said to stderr too."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(cwd), **env}
    answer = subprocess.run(command, cwd=cwd, env=plain, capture_output=True, text=True, timeout=100)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; what it needs is lent by this one, behind it on the path."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place.parent)
    python = place / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-compile", "--no-deps", "--no-index", wheel, cwd=place.parent)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "lent.pth").write_text("\n".join(sorted(lent)) + "\n")
    return place


def in_checkout(folder: str, pattern: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(pattern) if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_module_of_the_packages_and_says_that_they_are_typed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    wanted = {name for package in PACKAGES for name in in_checkout(package, "*.py")}
    assert len(wanted) > 5
    assert wanted - names == set()
    assert {f"{package}/py.typed" for package in PACKAGES} - names == set()


def test_the_wheel_holds_the_data_that_the_packages_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {name for package in PACKAGES for name in in_checkout(package, "*.lua")} - names == set()


@pytest.mark.parametrize(
    ("pattern", "least"), [("*.html", 20), ("*.css", 1), ("*.js", 2), ("*.svg", 1), ("*.LICENSE", 1)]
)
def test_the_wheel_holds_what_pages_are_made_of(wheel: Path, pattern: str, least: int) -> None:
    wanted = in_checkout("admin_api", pattern)

    assert len(wanted) >= least
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_wheel_holds_every_migration_as_data_and_not_as_a_package_of_its_own(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    wanted = {Path(name).name for name in in_checkout("migrations", "*.py")}
    assert {Path(name).name for name in names if name.startswith("jobs/migrations/") and name.endswith(".py")} >= wanted
    assert "jobs/migrations/__init__.py" not in names


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert tops <= {*PACKAGES, f"jobledger-{PROJECT['version']}.dist-info"}
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "test" in Path(name).name.split("_")]
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".pyc", ".db"))]


def test_the_wheel_says_what_it_needs_and_brings_one_program_under_two_names(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = f"jobledger-{PROJECT['version']}.dist-info"
    metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    scripts = archive.read(f"{info}/entry_points.txt").decode()

    plain = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert len(plain) == len(PROJECT["dependencies"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert "jobs = admin_cli.main:main" in scripts
    assert "jobledger = admin_cli.main:main" in scripts


def test_installed_the_packages_come_from_the_wheel_and_import_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    program = f"import {', '.join(PACKAGES)}; print(*[p.__path__[0] for p in ({', '.join(PACKAGES)},)], sep='\\n')"

    places = run(installed / "bin" / "python", "-c", program, cwd=tmp_path).splitlines()

    assert [Path(place).name for place in places] == list(PACKAGES)
    assert all(Path(place).is_relative_to(installed.resolve()) for place in places), places


@pytest.mark.xfail(
    not (ROOT / "admin_cli" / "main.py").exists(), reason="admin_cli/main.py is not written yet", strict=True
)
@pytest.mark.parametrize("name", ["jobledger", "jobs"])
def test_installed_the_command_says_its_version_in_an_empty_folder(installed: Path, tmp_path: Path, name: str) -> None:
    said = run(installed / "bin" / name, "--version", cwd=tmp_path)

    assert PROJECT["version"] in said
    assert list(tmp_path.iterdir()) == []
