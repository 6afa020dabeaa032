"""The habits of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
MODULES = sorted(ROOT.glob("patterns/**/*.py"))
TESTS = sorted(ROOT.glob("tests/**/*.py"))
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FUNCTION = 500, 60, 8


@cache
def tree(file: Path) -> ast.Module:
    """Parse *file* once."""
    return ast.parse(file.read_text())


def functions(file: Path) -> dict[str, int]:
    """Return the functions of *file* with the lines of their bodies, without the docstrings."""
    found = {}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            found[f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"] = body[-1].end_lineno - body[0].lineno + 1
    return found


def naps(file: Path) -> list[str]:
    """Return where *file* sleeps; no time at all is no sleep, and a minute is there to be cut short."""
    calls = (node for node in ast.walk(tree(file)) if isinstance(node, ast.Call) and node.args)
    return [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for call in calls
        if ast.unparse(call.func) in {"time.sleep", "asyncio.sleep", "anyio.sleep", "sleep"}
        and ast.unparse(call.args[0]) not in {"0", "60", "3600"}
    ]


def test_a_file_is_one_thought():
    """No file is too long to read at once."""
    lengths = {str(file.relative_to(ROOT)): file.read_text().count("\n") for file in [*MODULES, *TESTS]}
    assert {} == {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_a_function_is_one_step():
    """Half of the functions fit in eight lines, and none needs scrolling."""
    lengths = {name: length for file in MODULES for name, length in functions(file).items()}
    assert {} == {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}
    assert MEDIAN_FUNCTION >= median(lengths.values())


def test_no_test_sleeps():
    """Waiting is done for an event or on a manual clock."""
    assert [] == [place for file in TESTS for place in naps(file)]


def test_every_exception_to_a_rule_says_why():
    """A ``noqa`` or a type checker's ``ignore`` is followed by its reason."""
    silent = re.compile(r"#\s*noqa(: [A-Z0-9, ]+)?\s*$")
    places = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in MODULES
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if silent.search(line)
    ]
    assert [] == places


def test_the_project_speaks_of_itself_alone():
    """No text names a machine's own directories."""
    texts = [*MODULES, *TESTS, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.py")]
    private = re.compile(r"(?<![\w./])/(home|root|work|Users)/\w")
    assert [] == [str(file.relative_to(ROOT)) for file in texts if private.search(file.read_text())]
