"""What fails while a compiled function runs: the user's line, NumPy's type, one message."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim

ENGINES = ("numpy", "native")
RANDOM = np.random.default_rng(0)
TABLE, ONES = RANDOM.normal(size=(4, 3)), np.ones((2, 2))
SCORES = RANDOM.normal(size=(3, 4)).astype(np.float32)


def rows(table, i):
    picked = table[i]
    return np.sum(picked**2)


def columns(table, i):
    return np.sum(np.take(table, i, axis=1))


def along(table, i):
    return np.sum(np.take_along_axis(table, i, axis=1))


def added(x, i):
    y = np.zeros(4) * x[0]
    y[i] += x
    return np.sum(y**2)


def added_at(x, i):
    y = np.zeros(4) * x[0]
    np.add.at(y, i, x)
    return np.sum(y**2)


def replaced(x, i):
    y = 1 * x
    y[i] = 3.0
    return np.sum(y**2)


def several(x, i):
    return np.sum(x[i, :, i])


def solved(A, b):
    return np.sum(np.linalg.solve(A, b))


def inverted(A, b):
    return np.sum(np.linalg.inv(A) @ b)


def factored(A, b):
    return np.sum(np.linalg.cholesky(A) @ b)


def decomposed(A, b):
    return np.sum(np.linalg.svd(A, compute_uv=False))


def raised(x, n):
    return np.sum(x * np.arange(3) ** n)


def looked_up_in_a_loop(table, xs):
    def cell(h, i):
        h = h + table[i]
        return h, h

    return np.sum(bg.scan(cell, 0.0 * table[0], xs)[1])


def solved_in_a_loop(b, As):
    def cell(h, A):
        h = np.linalg.solve(A, h)
        return h, h

    return np.sum(bg.scan(cell, b, As)[1])


WRONG = [
    (rows, (TABLE, np.array([0, 7])), "table[i]", "index 7 is out of bounds for axis 0 with size 4"),
    (columns, (TABLE, np.array([0, 7])), "np.take(table, i, axis=1)", "index 7 is out of bounds for axis 1"),
    (
        along,
        (TABLE, np.array([[-9]] * 4)),
        "np.take_along_axis(table, i, axis=1)",
        "index -9 is out of bounds",
    ),
    (added, (np.ones(2), np.array([0, 4])), "y[i]", "index 4 is out of bounds for axis 0 with size 4"),
    (added_at, (np.ones(2), np.array([0, 4])), "np.add.at(y, i, x)", "index 4 is out of bounds for axis 0"),
    (replaced, (np.ones(2), np.array([0, 4])), "y[i]", "index 4 is out of bounds for axis 0 with size 2"),
    (several, (np.ones((3, 4, 2)), np.array([0, 2])), "x[i, :, i]", "index 2 is out of bounds for axis 2"),
    (rows, (np.ones((0, 3)), np.array([0])), "table[i]", "index 0 is out of bounds for axis 0 with size 0"),
    (solved, (ONES, np.ones(2)), "np.linalg.solve(A, b)", "Singular matrix"),
    (inverted, (np.stack([np.eye(2), ONES]), np.ones(2)), "np.linalg.inv(A)", "Singular matrix"),
    (factored, (-np.eye(2), np.ones(2)), "np.linalg.cholesky(A)", "Matrix is not positive definite"),
    (decomposed, (ONES * np.nan, np.ones(2)), "np.linalg.svd(A, compute_uv=False)", "SVD did not converge"),
    (raised, (np.ones(3), np.array([1, -1, 2])), "np.arange(3) ** n", "Integers to negative integer powers"),
    (looked_up_in_a_loop, (TABLE, np.array([0, 9])), "table[i]", "index 9 is out of bounds for axis 0"),
    (solved_in_a_loop, (np.ones(2), np.stack([np.eye(2), ONES])), "np.linalg.solve(A, h)", "Singular matrix"),
]


def message_of(function: Any, arguments: Any, kind: type[Exception]) -> str:
    """What is raised, which is boxgrad's error and one of ``kind``."""
    with pytest.raises(bg.BoxgradError) as caught:
        function(*arguments)
    assert isinstance(caught.value, kind)
    return str(caught.value)


@pytest.mark.parametrize("derived", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize(("function", "arguments", "expression", "why"), WRONG)
def test_the_line_the_expression_and_the_reason(function, arguments, expression, why, derived):
    with pytest.raises((IndexError, ValueError)) as numpy_itself:
        function(*arguments)
    wanted = bg.grad(function) if derived else function
    kind = type(numpy_itself.value)
    messages = {message_of(bg.compile(wanted, engine=name), arguments, kind) for name in ENGINES}
    (text,) = messages
    assert text.startswith(f"{expression}: ")
    code = function.__code__.co_consts[1] if "cell" in text else function.__code__
    (line,) = [line for line in text.splitlines() if line.startswith("  where:")]
    number = int(re.fullmatch(r"  where:   test_run_time_errors\.py:(\d+), in \w+: .*", line)[1])
    assert number in {n for _, _, n in code.co_lines()}
    assert expression in line
    assert f"  why:     {why}" in text
    assert "  instead: " in text
    if function is not raised:  # whose integers are no part of the trace
        assert message_of(bg.grad(function), arguments, kind).startswith(f"{expression}: ")


def test_the_whole_message():
    with pytest.raises(IndexError) as caught:
        bg.compile(rows)(TABLE, np.array([0, 7]))
    line = rows.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        "table[i]: gather(f64[4,3], i64[2]) cannot be computed\n"
        f"  where:   test_run_time_errors.py:{line}, in rows: picked = table[i]\n"
        "  why:     index 7 is out of bounds for axis 0 with size 4\n"
        "  instead: indices from -4 to 3; np.clip(indices, 0, 3) where the nearest is meant"
    )
    assert type(caught.value.__cause__) is IndexError  # NumPy's own


class Words(nn.Module):
    """Scores of words."""

    def __init__(self) -> None:
        self.table = nn.Embedding(5, 3, seed=0)
        self.out = nn.Linear(3, 4, seed=0)

    def __call__(self, i: Any) -> Any:
        return self.out(self.table(i))


def entropy(scores, y):
    return nn.cross_entropy(scores, y)


def likelihood(scores, y):
    return nn.nll(nn.log_softmax(scores), y, weight=np.ones(4, np.float32))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("derived", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize("function", [entropy, likelihood])
@pytest.mark.parametrize("dtype", [np.int64, np.int8])
@pytest.mark.parametrize(
    ("label", "why", "instead"),
    [
        (4, "index 4 is out of bounds for axis", "whole numbers from 0 to 3: renumber them"),
        (-1, "index -5 is out of bounds for axis", "is shown here less 4"),
    ],
)
def test_labels(function, label, why, instead, dtype, derived, engine):
    labels = np.array([0, label, 1], dtype)
    text = message_of(function, (SCORES, labels), IndexError)
    assert f"found the index {label}, with 4 to choose from" in text
    assert "inside:" not in text  # the refusal is a layer's own
    wanted = bg.compile(bg.grad(function) if derived else function, engine=engine)
    text = message_of(wanted, (SCORES, labels), IndexError)
    assert re.search(rf"where: +test_run_time_errors\.py:\d+, in {function.__name__}: return nn\.", text)
    assert re.search(r"inside: +(losses|lookup)\.py:\d+, in (_picked|rows): ", text)
    assert why in text
    assert instead in text


@pytest.mark.parametrize("engine", ENGINES)
def test_labels_that_are_ignored_are_no_mistake(engine):
    labels = np.array([0, -100, 1])
    expected = nn.cross_entropy(SCORES, labels)
    found = bg.compile(entropy, engine=engine)(SCORES, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("index", [5, -1])
def test_a_layer_in_a_model_of_ones_own(index, engine):
    model, words = Words(), np.array([[0, index]])
    text = message_of(bg.compile(lambda m, i: m(i), engine=engine), (model, words), IndexError)
    assert text.startswith("self.table(i): gather(f32[5,3], i64[1,2]) cannot be computed")
    assert re.search(
        r"where: .*, in __call__: return self\.out\(self\.table\(i\)\)\n +inside: +lookup\.py", text
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_that_fails_changes_nothing(engine):
    model = nn.Sequential(nn.Linear(3, 4, seed=0), nn.ReLU(), nn.Linear(4, 2, seed=1))
    optimizer = optim.Adam(model)

    @bg.compile(engine=engine)
    def step(model, optimizer, x, y):
        value, gradients = bg.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(model)
        optimizer.update(model, gradients)
        return value

    x, good, bad = (
        RANDOM.normal(size=(4, 3)).astype(np.float32),
        np.array([0, 1, 1, 0]),
        np.array([0, 1, 2, 0]),
    )
    step(model, optimizer, x, good)
    before = [array.copy() for array in bg.tree.leaves((model, optimizer))]
    text = message_of(step, (model, optimizer, x, bad), IndexError)
    assert "nn.cross_entropy(m(x), y): " in text
    for old, new in zip(before, bg.tree.leaves((model, optimizer)), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.isfinite(step(model, optimizer, x, good))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("label", [5, -1])
def test_a_step_of_the_trainer(label, engine):
    model = nn.Sequential(nn.Linear(3, 2, seed=0))
    x, y = RANDOM.normal(size=(8, 3)).astype(np.float32), np.array([0, 1] * 4)
    y[5] = label
    trainer = bg.Trainer(model, nn.cross_entropy, optim.SGD(model, lr=0.1), engine=engine, verbosity="silent")
    text = message_of(lambda: trainer.fit((x, y), epochs=1), (), IndexError)
    assert re.search(r"where: .*: text = message_of\(lambda: trainer\.fit\(\(x, y\), epochs=1\)", text)
    assert re.search(r"inside: +losses\.py:\d+, in _picked: ", text)


def test_errors_of_other_kinds_stay_what_they_are_with_a_note():
    def quotient(x):
        return np.sum(1 / x)

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError) as caught:
        bg.compile(quotient, engine="numpy")(np.zeros(3))
    (note,) = caught.value.__notes__
    assert note.startswith("1 / x: divide(")
    assert "in quotient: return np.sum(1 / x)" in note


def test_choices_are_not_counted_from_the_end():
    x = np.ones(3)
    for choose in (lambda i: np.choose(i, [x, 2 * x]), bg.compile(lambda i: np.choose(i, [x, 2 * x]))):
        np.testing.assert_array_equal(choose(np.array([0, 1, 1])), [1, 2, 2])
        with pytest.raises((ValueError, IndexError)):
            choose(np.array([0, -1, 1]))
