"""Every code block of the documentation runs.

The ``python`` blocks of one file run in order in one namespace, the
``console`` blocks in a shell, all in one empty directory. ``...`` in the
expected output stands for anything. ``<!-- skip: reason -->`` before a block
leaves it out and shows the reason.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from sybil import Document, Example, Region
from sybil.example import SybilFailure
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
ELSEWHERE = re.compile(r"[a-z]+:|$")

shown = {"text", "json", "jsonl", "html", "toml", "ini", "yaml", "sql", "mermaid", "markdown", "diff", "http"}
"""Languages that are only looked at."""

fences = RawFencedCodeBlockLexer(re.compile(r"(?P<language>[^\n]*)\n"))
skips = DirectiveInHTMLCommentLexer("skip")


def run_python(example: Example) -> None:
    """Execute the block; ``await`` may stand at its top level."""
    source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, example.path, "exec", flags=flags, dont_inherit=True)
    unfinished = eval(code, example.namespace)  # noqa: S307 - the documentation is ours
    if inspect.iscoroutine(unfinished):
        asyncio.run(unfinished)


def run_console(example: Example) -> str | None:
    """Run each line that starts with ``$`` and compare its output with what follows; return the difference."""
    same = doctest.OutputChecker().check_output
    lines = str(example.parsed).splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if not starts or starts[0] != 0:
        return "a console block starts with a line '$ command'"
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        command, expected = lines[start][2:].strip(), "".join(lines[start + 1 : end])
        done = subprocess.run(  # noqa: S602 - the documentation is ours
            command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50, check=False
        )
        if done.returncode or not same(expected, done.stdout, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE):
            line = example.line + 1 + start
            return f"line {line}: $ {command}\nexpected:\n{expected}\ngot (exit {done.returncode}):\n{done.stdout}"
    return None


def refuse(example: Example) -> str:
    """Let no block go unexecuted by a slip of the language."""
    language = example.region.lexemes["language"]
    return f"unknown language {language!r}: write python or console to have it run, or one of {sorted(shown)}"


def blocks(document: Document):
    """Yield a region per code block and per skip comment."""
    runners = {"python": run_python, "console": run_console} | dict.fromkeys(shown)
    for region in fences(document):
        runner = runners.get(region.lexemes["language"].strip(), refuse)
        yield Region(region.start, region.end, region.lexemes["source"], runner, region.lexemes)
    for region in skips(document):
        yield Region(region.start, region.end, None, None, region.lexemes)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a namespace in an empty directory, where the command `patterns` is this very source."""
    command = tmp_path / "bin" / "patterns"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom patterns.cli import main\nraise SystemExit(main())\n")
    command.chmod(0o755)
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    for name, value in {
        "PATH": os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }.items():
        monkeypatch.setenv(name, value)
    module = types.ModuleType("documentation")
    monkeypatch.setitem(sys.modules, "documentation", module)
    return vars(module)


def read(document: Document, namespace: dict) -> list[tuple[int, str]]:
    """Evaluate the blocks in order; return the lines of those that are skipped, with the reasons."""
    document.namespace = namespace
    skipped = []
    reason = ""
    for example in document.examples():
        if example.parsed is None:
            reason = example.region.lexemes["arguments"].strip()
        elif reason:
            skipped.append((example.line, reason))
            reason = ""
        else:
            example.evaluate()
    return skipped


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_runs(page: Path, reader, subtests):
    """What a reader copies from the documentation works, and prints what it says."""
    for line, reason in read(Document.parse(str(page), blocks), reader):
        with subtests.test(f"line {line}"):
            pytest.skip(reason)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    """A relative link names a file that is there and a heading in it."""
    text = re.sub(r"^(```+).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    broken = [link for link in links if not ELSEWHERE.match(link) and not leads_somewhere(page, link)]
    assert [] == broken


def leads_somewhere(page: Path, link: str) -> bool:
    """Tell whether the file and, if given, the heading exist."""
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not heading or target.suffix != ".md":
        return target.exists()
    titles = re.findall(r"^#+ +(.*)$", target.read_text(), re.MULTILINE) if target.exists() else []
    return heading in {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


EXECUTED = """\
```python
x = 1
```

<!-- skip: needs the moon -->
```python
x = 2
```

```console
$ echo one; echo two
one
...
```

```python
assert 1 == x
import asyncio
await asyncio.sleep(0)
```
"""


def test_blocks_share_a_namespace_and_skips_are_kept(reader, tmp_path: Path):
    """The harness itself: order, skips, shells and top-level await."""
    (tmp_path / "page.md").write_text(EXECUTED)
    assert [(6, "needs the moon")] == read(Document.parse(str(tmp_path / "page.md"), blocks), reader)
    assert 1 == reader["x"]


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```python\n1 / 0\n```", "division by zero"),
        ("```console\n$ echo one\ntwo\n```", "line 4: \\$ echo one"),
        ("```console\n$ echo one\n```", "line 4: \\$ echo one"),
        ("```console\n$ exit 3\n```", "exit 3"),
        ("```console\nnothing\n```", "starts with a line"),
        ("```pyhton\n1\n```", "unknown language"),
    ],
)
def test_a_wrong_block_fails(block: str, complaint: str, reader, tmp_path: Path):
    """The harness itself: no mistake goes unnoticed, and the message says where it is."""
    (tmp_path / "page.md").write_text(f"# Title\n\n{block}\n")
    with pytest.raises((SybilFailure, ZeroDivisionError), match=complaint) as caught:
        read(Document.parse(str(tmp_path / "page.md"), blocks), reader)
    where = str(caught.traceback[-1].path), caught.traceback[-1].lineno + 1
    assert "page.md" in str(caught.value) or (str(tmp_path / "page.md"), 4) == where


def test_the_feature_table_can_be_trusted():
    """Each feature is listed once, in a known state; what exists says where it is described."""
    row = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+?) \| (.*?) ?\|$", re.MULTILINE)
    rows = row.findall((ROOT / "docs/features.md").read_text())
    ids = [row[0] for row in rows]
    assert len(ids) == len(set(ids)) > 80
    assert {row[2] for row in rows} <= {"done", "first form", "planned"}
    assert [] == [row[0] for row in rows if row[2] != "planned" and "](" not in row[3]]
