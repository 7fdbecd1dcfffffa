"""The code view: executed where boxgrad cannot be imported, it gives boxgrad's numbers; and it reads well."""

from __future__ import annotations

import ast
import py_compile
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from functions import cases, rnn_loop

import boxgrad as bg
from boxgrad.explain.boxes import Model
from boxgrad.explain.code import Code, code_of
from boxgrad.explain.explanation import modelled
from boxgrad.graph.primitive import all_primitives
from samples import SAMPLES, Sample

CASES = {case.id: case for case in cases()}
SNAPSHOTS = Path(__file__).parent / "code"
RUNNER = '''
import sys

import numpy as np


class Refuse:
    """Only NumPy and what it needs from the standard library may be imported."""

    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first not in sys.stdlib_module_names and first != "numpy":
            raise ImportError(f"{name} is not to be imported here")


sys.meta_path.insert(0, Refuse())
try:
    import boxgrad
    raise SystemExit("boxgrad can be imported")
except ImportError:
    pass

for folder in sys.argv[1:]:
    space = {}
    with open(f"{folder}/code.py", encoding="utf-8") as file:
        exec(compile(file.read(), f"{folder}/code.py", "exec"), space)
    with np.load(f"{folder}/arguments.npz") as arguments:
        given = {name: array[()] for name, array in arguments.items()}
    L, saved = space["forward"](**given)
    gradients = space["backward"](saved)
    np.savez(f"{folder}/results.npz", L, **{f"d_{name}": g for name, g in gradients.items()})
'''


def close(found: Any, wanted: Any, accuracy: float = 1e-12) -> bool:
    """Equal to 1e-12 of the largest element."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        return False
    error = np.max(np.abs(found - wanted), initial=0.0)
    return bool(error <= accuracy * np.max(np.abs(wanted), initial=1e-3))


def gradients_of(function: Any, args: Iterable[Any]) -> list[Any]:
    """boxgrad's gradients with respect to every real leaf of the arguments, in order."""
    args = tuple(args)
    real = tuple(
        i
        for i, x in enumerate(args)
        if any(
            isinstance(leaf, float) or getattr(leaf, "dtype", np.dtype(int)).kind == "f"
            for leaf in bg.tree.leaves(x)
        )
    )
    found = bg.grad(function, argnums=real)(*args)
    return [leaf for leaf in bg.tree.leaves(found) if leaf is not None]


@pytest.fixture(scope="module")
def codes() -> dict[str, tuple[Model, Code]]:
    """The code of every case, made once."""
    found = {}
    for case in CASES.values():
        model = modelled(case.function, case.args)
        found[case.id] = model, code_of(model)
    return found


@pytest.fixture(scope="module")
def alone(codes: dict[str, tuple[Model, Code]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the files return in one process that cannot import boxgrad."""
    root = tmp_path_factory.mktemp("code")
    folders = {}
    for number, (name, (_, code)) in enumerate(codes.items()):
        folder = folders[name] = root / str(number)
        folder.mkdir()
        (folder / "code.py").write_text(code.source, encoding="utf-8")
        np.savez(folder / "arguments.npz", **code.arguments())
    (root / "runner.py").write_text(RUNNER, encoding="utf-8")
    command = [sys.executable, "-I", str(root / "runner.py"), *map(str, folders.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: dict(np.load(folder / "results.npz")) for name, folder in folders.items()}


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize("name", CASES)
def test_without_boxgrad_it_gives_the_same_numbers(
    name: str, codes: dict[str, tuple[Model, Code]], alone: dict[str, Any]
) -> None:
    case, (model, _), results = CASES[name], codes[name], alone[name]
    assert close(results["arr_0"], model.output.node.value)
    wanted = gradients_of(case.function, case.args)
    assert len(wanted) == len(model.wrt)
    for value, g in zip(model.wrt, wanted, strict=True):
        assert close(results[f"d_{value.name}"], g), value.name


@pytest.mark.parametrize("name", CASES)
def test_it_is_written_well(name: str, codes: dict[str, tuple[Model, Code]]) -> None:
    source = codes[name][1].source
    assert max(map(len, source.splitlines())) <= 110
    for ugly in (r"\* 1(\.0)?\b(?!\.)", r"\+ 0(\.0)?(?![\d.])", r"\.T\.T", r"[-+] -", r"\(\(\)\)"):
        assert not re.search(ugly, source), ugly
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef):
            names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
            stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
            read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
            assert stored <= read | {"_"}, f"never read: {stored - read}"
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imports] in (["import numpy as np"], [])


def test_it_compiles_and_is_free_of_unused_names(
    codes: dict[str, tuple[Model, Code]], tmp_path: Path
) -> None:
    for number, (_, code) in enumerate(codes.values()):
        path = tmp_path / f"code{number}.py"
        path.write_text(code.source, encoding="utf-8")
        py_compile.compile(str(path), cfile=str(tmp_path / "compiled.pyc"), doraise=True)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9,W6", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", CASES)
def test_lines_know_what_they_compute(name: str, codes: dict[str, tuple[Model, Code]]) -> None:
    model, code = codes[name]
    assert "\n".join(line.text for line in code.lines) + "\n" == code.source == str(code)
    for line in code.lines:
        assert line.text.splitlines()[:1] == code.source.splitlines()[line.number - 1 :][:1] or not line.text
    backward = {line.value for line in code.lines if line.direction == "backward"}
    zero = {value.name for value in model.wrt if not np.any(np.asarray(code.run()[1][value.name]))}
    assert {value.name for value in model.wrt} - zero <= backward


def nested_loops(h: Any, xs: Any, U: Any) -> Any:
    def outer(h: Any, x: Any) -> Any:
        def inner(c: Any, y: Any) -> Any:
            c = np.tanh(c @ U + y)
            return c, c

        c, ys = bg.scan(inner, h, x)
        return c, np.sum(ys)

    h, s = bg.scan(outer, h, xs)
    return np.sum(h) + np.sum(s**2)


def second_order(x: Any) -> Any:
    g = bg.grad(lambda x: np.sum(np.sin(x) * x**2))(x)
    return np.sum(g**2)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [(nested_loops, ((3,), (2, 4, 3), (3, 3))), (second_order, ((4,),)), (lambda x: x, ((),))],
)
def test_loops_in_loops_gradients_in_functions_and_no_function_at_all(function: Any, shapes: Any) -> None:
    random = np.random.default_rng(5)
    args = [random.normal(size=shape) for shape in shapes]
    model = modelled(function, args)
    L, gradients = code_of(model).run()
    assert close(L, model.output.node.value)
    for value, g in zip(model.wrt, gradients_of(function, args), strict=True):
        assert close(gradients[value.name], g), value.name


def test_an_unused_argument_has_a_gradient_of_zeros() -> None:
    code = code_of(modelled(lambda x, b: np.sum(x * x), (np.ones(3), np.ones(2))))
    assert code.parameters == ("x",)
    assert close(code.run()[1]["b"], np.zeros(2))


def test_run_takes_other_arguments() -> None:
    case = CASES["sigma(XW)"]
    code = code_of(modelled(case.function, case.args))
    X, W = np.ones((3, 3)), np.zeros((3, 2))
    L, gradients = code.run(X=X, W=W)
    assert close(L, 3.0)
    assert close(gradients["W"], np.full((3, 2), 0.75))


def test_only_the_wanted_gradients_are_computed() -> None:
    case = CASES["sigma(XW)"]
    code = code_of(modelled(case.function, case.args, wrt="W"))
    assert list(code.run()[1]) == ["W"]
    assert "dL_dX" not in code.source


def test_large_captured_arrays_are_arguments() -> None:
    table = np.random.default_rng(0).normal(size=(5, 7))
    code = code_of(modelled(lambda w: np.sum(np.tanh(table @ w)), (np.ones(7),)))
    assert len(code.parameters) == 2
    assert any(value is table or np.array_equal(value, table) for value in code.arguments().values())


def test_words_are_in_the_language_asked_for() -> None:
    case = CASES["square"]
    assert "链式法则" in code_of(modelled(case.function, case.args), lang="zh").source


@pytest.mark.parametrize(
    "name", ["sigma(XW)", "two layers", "Conv2d", "LSTM", "cross_entropy", "rnn by scan"]
)
def test_snapshot(name: str, codes: dict[str, tuple[Model, Code]]) -> None:
    path = SNAPSHOTS / f"{name.replace(' ', '_')}.txt"
    assert codes[name][1].source == path.read_text(encoding="utf-8")


# ---- primitives
def as_number(sample: Sample) -> Any:
    """A sample as a function with one real result and at least one real argument."""

    def function(*args: Any) -> Any:
        *inputs, scale = args
        parts = [
            np.sum(np.sin(leaf)) if leaf.dtype.kind == "f" else np.sum(leaf.astype(np.float64))
            for leaf in bg.tree.leaves(sample.call(*inputs))
        ]
        return np.sum(np.stack(parts)) * scale

    return function


def test_every_primitive_can_be_written() -> None:
    missing = {p.name for p in all_primitives()} - {sample.primitive for sample in SAMPLES}
    assert not missing, f"no sample of {sorted(missing)}, so nothing shows that they can be written"


@pytest.mark.parametrize("primitive", sorted({sample.primitive for sample in SAMPLES}))
def test_primitive(primitive: str) -> None:
    for sample in SAMPLES:
        if sample.primitive != primitive:
            continue
        function, args = as_number(sample), (*sample.inputs, 1.5)
        model = modelled(function, args)
        narrow = any(node.dtype in (np.float16, np.float32) for node in model.graph.nodes)
        accuracy = 1e-5 if narrow else 1e-12
        L, gradients = code_of(model).run()
        assert close(L, model.output.node.value, accuracy), sample.name
        for value, g in zip(model.wrt, gradients_of(function, args), strict=True):
            assert close(gradients[value.name], g, accuracy), (sample.name, value.name)


def test_two_hundred_steps_run() -> None:
    random = np.random.default_rng(0)
    shapes = (2, 4), (200, 2, 3), (4, 4), (3, 4)
    args = tuple(0.3 * random.normal(size=shape) for shape in shapes)
    model = modelled(rnn_loop, args)
    _, gradients = code_of(model).run()
    for value, g in zip(model.wrt, gradients_of(rnn_loop, args), strict=True):
        assert close(gradients[value.name], g, 1e-12), value.name
