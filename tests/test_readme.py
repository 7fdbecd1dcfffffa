"""Both READMEs hold what they promise: their programs run, their commands, links and tables are true."""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import linecache
import re
import shlex
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from typer.main import get_command

import boxgrad as bg
from boxgrad import nn
from boxgrad.cli import app

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
WITH_PROGRAMS = [page for page in PAGES if "```python\n" in (ROOT / page).read_text(encoding="utf-8")]


class Block(NamedTuple):
    """A fenced block: its language, its text, and whether another one follows it at once."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    source = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], source[: found.start()].count("\n") + 1)
        for found in re.finditer(r"^```(\w+)\n(.*?)^```$", source, re.M | re.S)
    ]


_numbers = itertools.count()


def run(program: str, namespace: dict[str, object]) -> str:
    """What a program prints; an error of boxgrad ends it and is printed as Python would."""
    lines = program.splitlines(keepends=True)
    # Each program is a file of its own, for functions of earlier ones are explained with their source.
    name = f"{next(_numbers)}/example.py"
    linecache.cache[name] = (len(program), None, lines, name)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(program, name, "exec"), namespace)
        except bg.BoxgradError as error:
            print(f"{type(error).__name__}: {error}")
    return printed.getvalue()


@pytest.mark.parametrize("page", WITH_PROGRAMS)
def test_programs_run_and_print_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    namespace: dict[str, object] = {"__name__": "example"}
    same = doctest.OutputChecker().check_output
    ran = 0
    for block, following in zip(found, [*found[1:], Block("", "", 0)], strict=True):
        if block.language != "python":
            continue
        printed = run(block.text, namespace)
        ran += 1
        if following.language == "text":
            assert same(following.text, printed, doctest.ELLIPSIS), f"{page}:{block.line} printed\n{printed}"
        else:
            assert "Error: " not in printed, f"{page}:{block.line}\n{printed}"
    assert ran > 0


@pytest.mark.parametrize("page", ["README", "docs/guide/README", "docs/guide/native"])
def test_both_languages_show_the_same(page):
    def without_comments(name: str) -> list[tuple[str, str]]:
        return [(block.language, re.sub(r"  #.*", "", block.text)) for block in blocks(name)]

    assert without_comments(f"{page}.md") == without_comments(f"{page}.zh-CN.md")


def test_both_tables_of_kinks_say_the_same():
    assert table_of_kinks("README.md") == table_of_kinks("README.zh-CN.md")


@pytest.mark.parametrize("page", PAGES)
def test_quoted_code_is_in_the_source(page):
    paths = [*(ROOT / "src").rglob("*.py"), ROOT / "tests" / "samples.py"]
    sources = [without_layout(path.read_text(encoding="utf-8")) for path in paths]
    for block in blocks(page):
        if block.language == "py":
            assert any(without_layout(block.text) in source for source in sources), f"{page}:{block.line}"


def without_layout(source: str) -> str:
    return re.sub(r"\s+", "", source).replace(",)", ")")


# ---- commands
def commands(page: str) -> list[list[str]]:
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    return [shlex.split(part) for line in lines for part in line.split(" && ")]


@pytest.mark.parametrize("page", [page for page in PAGES if "```sh\n" in (ROOT / page).read_text("utf-8")])
def test_commands_exist(page):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {re.split(r"[><=]", name)[0] for name in project["optional-dependencies"]["test"]}
    known = get_command(app).commands
    assert project["scripts"] == {"boxgrad": "boxgrad.cli:main"}
    for program, *words in commands(page):
        if program == "boxgrad":
            command = known[words[0]]
            options = {option for parameter in command.params for option in parameter.opts}
            named = {word for word in words if word.startswith("--")}
            assert named <= options, f"{words}: {named - options}"
        elif program == "pip":
            extras = re.findall(r"\[(\w+)\]", " ".join(words))
            assert set(extras) <= set(project["optional-dependencies"])
        elif program in ("ruff", "pyright", "pytest"):
            assert program in installed
            assert all((ROOT / word).exists() for word in words if "/" in word), words
        else:
            assert program in ("git", "pre-commit", "python", "cd") or (ROOT / program).exists(), program


@pytest.mark.parametrize("page", READMES)
def test_the_two_commands(page):
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    assert lines[:2] == ["pip install . && boxgrad train digits", "pip install -e '.[test]' && pytest"]


# ---- claims
@pytest.mark.parametrize("page", READMES)
def test_a_step_is_said_to_work_where_there_is_one(page):
    source = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\| `bg\.(\w+)` \| (\S+) \|$", source, re.M)
    assert [name for name, _ in rows] == ["trace", "grad", "explain", "Trainer", "check"]
    for name, state in rows:
        assert (state in ("works", "可用")) == (name in bg.__all__), name


def table_of_kinks(page: str) -> str:
    source = (ROOT / page).read_text(encoding="utf-8")
    return source[source.index("| `nn.relu(x)`") :].partition("\n\n")[0]


def test_kinks_are_as_the_table_says():
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]] for line in table_of_kinks("README.md").splitlines()
    ]
    assert len(rows) >= 10
    for written, point, values in rows:
        function = eval(f"lambda x: {written.strip('`')}", {"np": np, "nn": nn})
        gradient = bg.grad(function)(eval(point.strip("`"), {"np": np}))
        assert np.atleast_1d(gradient).tolist() == [float(x) for x in values.split(",")], written


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    source = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", source) if "://" not in target]
    missing = [
        target
        for target in targets
        if target.partition("#")[0] and not ((ROOT / page).parent / target.partition("#")[0]).exists()
    ]
    assert not missing
