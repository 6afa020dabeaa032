"""The parts of the check, for those who want one at a time; ``.ci/run`` is the whole."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "contracts", "tests"]
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Test with the oldest dependencies that pyproject.toml allows."""
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["demo"], *extras["audit"], *extras["fast"]]
    session.install("-e", ".[test]", *[re.sub(">=", "==", requirement) for requirement in wanted])
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    session.install("-e", ".[all,test,dev]")
    session.run("mypy")
    session.run("pyright")


@nox.session
def contracts(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("lint-imports")


@nox.session
def bench(session: nox.Session) -> None:
    session.install("-e", ".[all,test,bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)
