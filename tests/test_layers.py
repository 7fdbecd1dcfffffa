"""The shape of the source tree: who may import whom, and how long things may be.

Reads the source with ``ast`` and runs none of it.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "boxgrad"

# A module imports only its own folder or a strictly lower line; names on one line never import each other.
LINES = (
    ("errors", "types", "record", "tree", "boxed", "memory", "conversion", "windows"),
    ("graph",),
    ("ops",),
    ("functions", "listing"),
    ("trace",),
    ("composites",),
    ("autodiff", "passes"),
    ("explain", "engines"),
    ("check",),
    ("__init__",),
    ("train", "interop", "book"),
    ("bench",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LINES) for name in names}
# The lowest line is flat, but errors, types and records may be read by their neighbours: they import nothing.
FOUNDATION = ("errors", "types", "record")
# Layers, optimisers and data stand aside: NumPy, the lowest line, and the public functions.
ASIDE = ("nn", "optim", "data")
PUBLIC_FUNCTIONS = "functions"
# What may be loaded by ``import boxgrad``, which is to cost little more than ``import numpy``.
LIGHT = ("numpy", "optree")
LOADED_ON_USE = ("train", "interop", "book", "bench", "cli")
# The places where a module of boxgrad is loaded by its name.
BY_NAME = ("__init__.py", "engines/engine.py")

FILE_LINES = 400
CORE = ("graph", "ops", "trace", "autodiff")
CORE_CODE_LINES = 3000


class Import(NamedTuple):
    """One imported module: where, what (``boxgrad`` stripped: "ops.shape"), and in which block."""

    file: str
    line: int
    module: str
    internal: bool
    in_function: bool
    for_types: bool

    def __str__(self) -> str:
        prefix = "boxgrad." if self.internal else ""
        return f"{self.file}:{self.line} imports {prefix}{self.module}"


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def imports(root: Path) -> Iterator[Import]:
    """Every import statement below a folder."""
    for path in files(root):
        yield from _imports_of(root, path)


def _imports_of(root: Path, path: Path) -> Iterator[Import]:
    file = path.relative_to(root).as_posix()

    def walk(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                for module in _modules(root, path, child):
                    internal = module == "boxgrad" or module.startswith("boxgrad.")
                    name = module.removeprefix("boxgrad").removeprefix(".") if internal else module
                    yield Import(file, child.lineno, name or "__init__", internal, in_function, for_types)
            inside = in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            yield from walk(child, inside, types)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False, False)


def _modules(root: Path, path: Path, statement: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that a statement names; ``from boxgrad import tree`` names boxgrad.tree."""
    if isinstance(statement, ast.Import):
        return [name.name for name in statement.names]
    module = statement.module or ""
    if statement.level:
        package = ("boxgrad", *path.relative_to(root).parent.parts)
        module = ".".join([*package[: len(package) - statement.level + 1], *([module] if module else [])])
    if module.partition(".")[0] != "boxgrad":
        return [module]
    folder = root.joinpath(*module.split(".")[1:])
    found = []
    for name in statement.names:
        is_module = (folder / f"{name.name}.py").exists() or (folder / name.name / "__init__.py").exists()
        found.append(f"{module}.{name.name}" if is_module else module)
    return found


def _names_another_library(argument: ast.expr) -> bool:
    is_text = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    return is_text and argument.value.split(".")[0] != "boxgrad"


def top(file_or_module: str) -> str:
    """The folder or single module that a file or module belongs to."""
    return file_or_module.replace("/", ".").removesuffix(".py").split(".")[0]


def forbidden(found: Import) -> bool:
    """Whether an import of boxgrad breaks the dependency rule."""
    here, there = top(found.file), top(found.module)
    if here == there:
        return False
    if here in ASIDE:
        return LEVEL.get(there) != 0 and found.module != PUBLIC_FUNCTIONS
    if there in ASIDE:
        return LEVEL[here] < LEVEL["__init__"]
    if LEVEL[here] == 0:
        return there not in FOUNDATION or here in FOUNDATION
    return LEVEL[there] >= LEVEL[here]


def code_lines(source: str) -> int:
    """Lines with code on them: not blank, not a comment, not a docstring."""
    layout = (
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENDMARKER,
    )  # fmt: skip
    counted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            counted.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text and isinstance(node.value.value, str):
            counted.difference_update(range(node.lineno, node.end_lineno + 1))
    return len(counted)


def test_every_folder_has_its_line():
    known = {*LEVEL, *ASIDE}
    unknown = {top(path.relative_to(SOURCE).as_posix()) for path in files(SOURCE)} - known
    assert not unknown, f"say in LINES where {sorted(unknown)} belong, and in ARCHITECTURE.md why"


def test_imports_go_to_lower_lines_only():
    wrong = [str(found) for found in imports(SOURCE) if found.internal and forbidden(found)]
    assert not wrong, "\n".join(wrong)


def test_no_import_of_boxgrad_is_deferred():
    wrong = [str(found) for found in imports(SOURCE) if found.internal and found.in_function]
    assert not wrong, "\n".join(wrong)


def test_modules_are_loaded_by_name_in_two_places_only():
    wrong = [
        f"{path.relative_to(SOURCE).as_posix()}:{node.lineno}"
        for path in files(SOURCE)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
        and not _names_another_library(node.args[0])
        and path.relative_to(SOURCE).as_posix() not in BY_NAME
    ]
    assert not wrong, wrong


def test_importing_boxgrad_loads_numpy_and_optree_only():
    wrong = [
        str(found)
        for found in imports(SOURCE)
        if not (found.internal or found.in_function or found.for_types)
        and top(found.file) not in LOADED_ON_USE
        and top(found.module) not in (*LIGHT, *sys.stdlib_module_names)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_file_says_what_it_knows():
    wrong = [
        path.relative_to(SOURCE).as_posix()
        for path in files(SOURCE)
        if (source := path.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(source))
    ]
    assert not wrong, f"no docstring: {wrong}"


def test_files_are_short():
    lengths = {
        path.relative_to(SOURCE).as_posix(): len(path.read_bytes().splitlines()) for path in files(SOURCE)
    }
    wrong = {file: length for file, length in lengths.items() if length > FILE_LINES}
    assert not wrong, f"more than {FILE_LINES} lines: {wrong}"


def test_the_core_can_be_read_in_an_afternoon():
    counts = {
        folder: sum(code_lines(path.read_text(encoding="utf-8")) for path in files(SOURCE / folder))
        for folder in CORE
    }
    assert sum(counts.values()) <= CORE_CODE_LINES, counts


# ---- the rules above, on source trees that break them
@pytest.mark.parametrize(
    ("file", "source", "broken"),
    [
        ("graph/node.py", "from boxgrad import types", False),
        ("graph/node.py", "from boxgrad.ops import shape", True),
        ("graph/node.py", "from boxgrad.nn import Linear", True),
        ("graph/node.py", "import boxgrad", True),
        ("autodiff/reverse.py", "from boxgrad.autodiff.loops import saving", False),
        ("autodiff/reverse.py", "from boxgrad.passes import fold", True),
        ("autodiff/reverse.py", "from ..passes import fold", True),
        ("nn/linear.py", "from boxgrad.functions import conv", False),
        ("nn/linear.py", "from boxgrad.ops import window", True),
        ("nn/linear.py", "from boxgrad import optim", True),
        ("tree.py", "from boxgrad.errors import message", False),
        ("tree.py", "from boxgrad.boxed import boxed", True),
        ("types.py", "from boxgrad.errors import message", True),
        ("train/trainer.py", "from boxgrad import nn, optim", False),
        ("train/trainer.py", "from boxgrad.interop import onnx", True),
        ("cli/train.py", "from boxgrad.train import tasks", False),
    ],
)
def test_the_dependency_rule(tmp_path, file, source, broken):
    for folder in (
        "graph",
        "ops",
        "functions",
        "nn",
        "optim",
        "passes",
        "autodiff",
        "train",
        "interop",
        "cli",
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    for module in ("errors", "types", "tree", "boxed", "ops/shape", "ops/window", "functions/windows"):
        (tmp_path / f"{module}.py").touch()
    (tmp_path / file).write_text(source)
    assert any(forbidden(found) for found in imports(tmp_path)) is broken


def test_deferred_imports_are_seen(tmp_path):
    (tmp_path / "boxed.py").write_text("def f():\n    if True:\n        from boxgrad import tree\n")
    assert [found.in_function for found in imports(tmp_path)] == [True]


def test_imports_for_types_are_told_apart(tmp_path):
    (tmp_path / "boxed.py").write_text("if TYPE_CHECKING:\n    import torch\nimport numpy\n")
    assert [(found.module, found.for_types) for found in imports(tmp_path)] == [
        ("torch", True),
        ("numpy", False),
    ]


def test_code_lines_are_counted():
    source = (
        '"""A docstring\nof two lines."""\n\n'
        "# a comment\nx = [\n    1,  # one\n]\n"
        'y = """text\nthat counts"""\n'
    )
    assert code_lines(source) == 5
