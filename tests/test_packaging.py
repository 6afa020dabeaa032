"""What is shipped, what it needs, and that the documentation says the same."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: {Requirement(line).name for line in lines} for name, lines in PROJECT["optional-dependencies"].items()}
NAME = "agent-safety-patterns"


def sources() -> set[str]:
    """Return every file of the package as the source tree has it."""
    files = (file for file in ROOT.glob("patterns/**/*") if file.is_file() and "__pycache__" not in file.parts)
    return {str(file.relative_to(ROOT)) for file in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel as an installer does."""
    place = tmp_path_factory.mktemp("wheel")
    build = "import os, sys, hatchling.build as b; b.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(place)], cwd=ROOT, check=True, timeout=50, capture_output=True)
    (path,) = place.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_core_needs_four_packages():
    """A user of one pattern installs these four and nothing else."""
    assert {"attrs", "opentelemetry-api", "tenacity", "wrapt"} == {
        Requirement(line).name for line in PROJECT["dependencies"]
    }


def test_the_core_uses_what_it_needs():
    """No dependency is installed for nothing."""
    text = "\n".join(file.read_text() for file in ROOT.glob("patterns/**/*.py"))
    imported = set(re.findall(r"^ *(?:from|import) (attrs|opentelemetry|tenacity|wrapt)\b", text, re.MULTILINE))
    assert {"attrs", "opentelemetry", "tenacity", "wrapt"} == imported


def test_all_means_every_extra_for_users():
    """``all`` leaves out only what contributors need."""
    (everything,) = (Requirement(line) for line in PROJECT["optional-dependencies"]["all"])
    assert set(EXTRAS) - {"all", "bench", "dev", "test"} == everything.extras


def test_every_requirement_has_a_lower_bound():
    """What is known to work is said; what is not known to fail is not excluded."""
    lines = [*PROJECT["dependencies"], *(line for lines in PROJECT["optional-dependencies"].values() for line in lines)]
    bounds = {line: [one.operator for one in Requirement(line).specifier] for line in lines}
    assert {NAME, "ruff"} == {Requirement(line).name for line, operators in bounds.items() if operators != [">="]}


def test_the_installed_version_is_the_one_of_the_source():
    """``patterns.__version__`` and the metadata agree."""
    import patterns

    try:
        installed = importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("running from the source tree, not installed")
    assert patterns.__version__ == installed


def test_the_readme_shows_one_test_command():
    """The continuous integration reads it there, and the contributors' page repeats it."""
    command = re.compile(r'^\$ (pip install -e "\.\[test\]" && pytest)$', re.MULTILINE)
    (shown,) = command.findall((ROOT / "README.md").read_text())
    assert [shown] == command.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert r"pip install .*&& pytest\)$" in (ROOT / ".ci/run").read_text()


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: zipfile.ZipFile):
    """SQL, templates and py.typed are shipped; tests and caches are not."""
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert sources() == shipped
    assert "patterns/py.typed" in shipped


def test_the_wheel_describes_itself(wheel: zipfile.ZipFile):
    """The command and the licence come with it."""
    (commands,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "patterns = patterns.cli:main" in wheel.read(commands).decode()
    (licence,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert b"Apache License" in wheel.read(licence)
