"""Diagrams of the acceptance set: everything there once, nothing on top of anything, arrows meet boxes."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from functions import Case, cases

import boxgrad as bg
from boxgrad.explain.boxes import Box, Model
from boxgrad.explain.diagram import Diagram, diagram_of, failed_diagram
from boxgrad.explain.document import Document, Label, plain
from boxgrad.explain.explanation import modelled
from boxgrad.explain.failure import partial
from boxgrad.explain.folding import Run, folded
from boxgrad.explain.steps import BACKWARD, FORWARD, paths, steps_of
from boxgrad.explain.unroll import unroll

CASES = cases()
BY_ID = {case.id: case for case in CASES}
HALF = 11.0


def drawn(case: Case, **options: Any) -> Diagram:
    return diagram_of(modelled(case.function, case.args), **options)


def overlap(a: tuple[float, ...], b: tuple[float, ...], slack: float = 0.0) -> bool:
    return (
        a[0] + slack < b[0] + b[2]
        and b[0] + slack < a[0] + a[2]
        and a[1] + slack < b[1] + b[3]
        and b[1] + slack < a[1] + a[3]
    )


def check_clear(document: Document) -> None:
    """Boxes and values keep apart and stay on the page."""
    boxes = [(figure.path, figure.rectangle) for figure in document.boxes]
    values = [(figure.mark, figure.ground) for figure in document.values]
    for (name, a), (other, b) in combinations(boxes, 2):
        assert not overlap(a, b), f"boxes {name} and {other}"
    for name, a in boxes:
        for other, b in values:
            assert not overlap(a, b, 6.0), f"box {name} and value {other}"
    for (name, a), (other, b) in combinations(values, 2):
        assert not overlap(a, b, 12.0), f"values {name} and {other}"
    for name, (x, y, w, h) in [*boxes, *values]:
        inside = x >= -1 and y >= -1 and x + w <= document.width + 1 and y + h <= document.height + 1
        assert inside, f"{name} is not on the page"


def check_wires(document: Document) -> None:
    """No wire runs through a box, nor through the picture of a value."""
    for arrow in document.arrows:
        for (ax, ay), (bx, by) in pairwise(arrow.points):
            line = (min(ax, bx), min(ay, by), abs(ax - bx), abs(ay - by))
            for figure in document.boxes:
                assert not overlap(line, figure.rectangle), f"{arrow.step} runs through {figure.path}"
            for value in document.values:
                assert not overlap(line, value.ground, 7.0), f"{arrow.step} runs through {value.mark}"


def check_arrows(diagram: Diagram) -> None:
    """Every arrowhead ends close to a box, or leaves with the result, or reaches what was given."""
    document = diagram.document
    given_names = {v.name for v in diagram.model.values.values() if v.node.primitive is None}
    for arrow in document.arrows:
        points = arrow.points
        for (ax, ay), (bx, by) in pairwise(points):
            assert abs(ax - bx) < 1e-6 or abs(ay - by) < 1e-6, f"a slanted wire of {arrow.step}"
        if not arrow.head or arrow.step.lstrip("∂") == diagram.model.output.name:
            continue
        x, y = points[-1]
        near = [
            figure
            for figure in document.boxes
            if figure.rectangle[0] - 6 <= x <= figure.rectangle[0] + figure.rectangle[2] + 6
            and figure.rectangle[1] - 6 <= y <= figure.rectangle[1] + figure.rectangle[3] + 6
        ]
        given = arrow.backward and arrow.step[1:] in given_names
        assert near or given, f"the arrow of {arrow.step} ends nowhere"


@pytest.mark.parametrize("direction", ["right", "down"])
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_diagram(case: Case, direction: str) -> None:
    diagram = drawn(case, direction=direction)
    check_clear(diagram.document)
    check_arrows(diagram)
    check_wires(diagram.document)
    marks = [figure.mark for figure in diagram.document.values]
    assert len(marks) == len(set(marks))
    kinds = [figure.path for figure in diagram.document.boxes]
    assert len(kinds) == len(set(kinds))
    if not any(figure.kind == "folded" for figure in diagram.document.boxes):
        shown = {v.name for box in diagram.model.boxes for v in (*box.inputs, *box.outputs)}
        assert {mark for mark in marks if not mark.startswith("∂")} >= shown
        assert kinds == [path for path, _ in paths(diagram.model.boxes) if "." not in path]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_opened(case: Case) -> None:
    diagram = drawn(case)
    if not diagram.closed:
        assert all(figure.kind != "closed" for figure in diagram.document.boxes)
        return
    opened = diagram.opening(*diagram.closed)
    check_clear(opened.document)
    check_arrows(opened)
    check_wires(opened.document)
    assert len(opened.document.frames) == len(diagram.closed)
    for figure in opened.document.frames:
        inner = [f for f in opened.document.boxes if f.path.startswith(f"{figure.path}.")]
        assert inner
        x, y, w, h = figure.rectangle
        for one in inner:
            assert x < one.rectangle[0]
            assert y < one.rectangle[1]
            assert one.rectangle[0] + one.rectangle[2] < x + w
            assert one.rectangle[1] + one.rectangle[3] < y + h
    path = next(iter(diagram.closed))
    check_clear(diagram.inside(path).document)


def test_steps_are_those_of_all_views() -> None:
    diagram = drawn(BY_ID["sigma(XW)"])
    assert [step.marks for step in diagram.steps] == [step.marks for step in steps_of(diagram.model)]
    assert [step.direction for step in diagram.steps].index(BACKWARD) == sum(
        step.direction == FORWARD for step in diagram.steps
    )
    numbers = {a.step: a.number for a in diagram.document.arrows if a.number is not None}
    for step in diagram.steps:
        for mark in step.marks:
            assert numbers[mark] == step.number


def texts(diagram: Diagram, path: str) -> tuple[list[str], dict[str | None, str]]:
    figure = next(figure for figure in diagram.document.boxes if figure.path == path)
    return [plain(label.runs) for label in figure.labels], {r.step: plain(r.runs) for r in figure.rules}


def test_boxes_say_what_they_do_and_their_local_factor() -> None:
    def loss(X: Any, W: Any) -> Any:
        N = X @ W
        S = 1 / (1 + np.exp(-N))
        L = np.sum(S)
        return L

    diagram = diagram_of(modelled(loss, (np.ones((3, 3)), np.ones((3, 2)))))
    assert texts(diagram, "1") == (["@", "product"], {"∂X": "· W^T", "∂W": "X^T ·"})
    assert texts(diagram, "2") == (["σ", "sigmoid"], {"∂N": "⊙ σ′(N)"})
    assert texts(diagram, "3") == (["Σ", "sum"], {"∂S": "× 𝟏"})
    chinese = diagram_of(diagram.model, lang="zh")
    assert texts(chinese, "1")[0] == ["@", "矩阵乘"]


@pytest.mark.parametrize(
    ("function", "factors"),
    [
        (lambda x, y: x * y, {"∂x": "⊙ y", "∂y": "⊙ x"}),
        (lambda x, y: x - y, {"∂x": "× 1", "∂y": "× (−1)"}),
        (lambda x, y: 3 * x + y, {"∂x": "× 3", "∂y": "× 1"}),
        (lambda x, y: (x - y) ** 2, {"∂x": "⊙ 2 (x − y)", "∂y": "⊙ (−2 (x − y))"}),
        (lambda x, y: x / y, {"∂x": "/ y", "∂y": "⊙ (−a) / y"}),
    ],
)
def test_factors(function: Any, factors: dict[str, str]) -> None:
    def f(x: Any, y: Any) -> Any:
        a = function(x, y)
        return np.sum(a)

    diagram = diagram_of(modelled(f, (np.array([1.0, 2.0]), np.array([3.0, 5.0]))))
    assert texts(diagram, "1")[1] == factors


def test_a_wire_forks_forward_and_joins_backward() -> None:
    def f(x: Any) -> Any:
        a = np.exp(x)
        b = np.sin(a)
        return np.sum(a * b)

    document = diagram_of(modelled(f, (np.ones(3),))).document
    assert {d.step for d in document.dots if d.kind == "fork"} == {"a"}
    assert {d.step for d in document.dots if d.kind == "sum"} == {"∂a"}


def test_inputs_parameters_and_constants_are_told_apart() -> None:
    def f(x: Any, W: Any) -> Any:
        return np.sum(np.array([1.0, 2.0]) * (x @ W))

    document = diagram_of(modelled(f, (np.ones(3), np.ones((3, 2))))).document
    assert {d.kind for d in document.dots} == {"input", "parameter", "constant"}


def rnn(h: Any, xs: Any, U: Any, V: Any) -> Any:
    for t in range(xs.shape[0]):
        h = np.tanh(h @ U + xs[t] @ V)
    return np.sum(h**2)


def test_two_hundred_steps_are_folded() -> None:
    normal = np.random.default_rng(0).normal
    model = modelled(rnn, (normal(size=(2, 4)), normal(size=(200, 2, 3)), np.eye(4), normal(size=(3, 4))))
    diagram = diagram_of(model)
    assert diagram.svg
    (block,) = [figure for figure in diagram.document.boxes if figure.kind == "folded"]
    assert plain(block.labels[0].runs) == "× 198"
    assert len(diagram.document.boxes) < 12
    assert diagram.document.width < 3000
    assert [step.number for step in diagram.steps] == list(range(1, len(diagram.steps) + 1))
    check_clear(diagram.document)


def test_folding_finds_the_longest_repetition() -> None:
    normal = np.random.default_rng(0).normal
    model = modelled(rnn, (normal(size=(2, 4)), normal(size=(6, 2, 3)), np.eye(4), normal(size=(3, 4))))
    runs = [part for part in folded(model.boxes) if isinstance(part, Run)]
    assert [(run.period, run.count) for run in runs] == [(3, 6)]
    few = modelled(rnn, (normal(size=(2, 4)), normal(size=(3, 2, 3)), np.eye(4), normal(size=(3, 4))))
    assert not any(isinstance(part, Run) for part in folded(few.boxes))


def test_a_folded_block_opens() -> None:
    normal = np.random.default_rng(0).normal
    model = modelled(rnn, (normal(size=(2, 4)), normal(size=(5, 2, 3)), np.eye(4), normal(size=(3, 4))))
    path = next(f.path for f in diagram_of(model).document.boxes if f.kind == "folded")
    opened = diagram_of(model, open=(path,))
    assert len(opened.document.boxes) == len(model.boxes)
    check_clear(opened.document)


LOOPS = ["rnn by scan", "reversed scan", "RNN", "LSTM", "GRU"]


def loops(model: Model) -> dict[str, Box]:
    return {path: box for path, box in paths(model.boxes) if box.kind == "loop"}


@pytest.mark.parametrize("name", LOOPS)
def test_unrolled_loops_compute_the_same(name: str) -> None:
    case = BY_ID[name]
    model = modelled(case.function, case.args)
    ((path, box),) = loops(model).items()
    unroll(model, box)
    for value in box.outputs:
        (made,) = [inner for _, inner in paths(box.steps) if value in inner.outputs and not inner.inner]
        again = [node for node in made.nodes if model.unrolled.get(node) is value]
        np.testing.assert_array_equal(again[0].value, value.node.value)
    for value in box.local:
        shares = [inner.local[value].value for inner in box.steps if value in inner.local]
        whole = box.local[value].value
        np.testing.assert_allclose(np.sum(shares, axis=0), whole, rtol=1e-12, atol=1e-14)
    diagram = diagram_of(model, unrolled=True)
    assert path in diagram.opened
    assert all(figure.kind != "loop" for figure in diagram.document.boxes)
    marks = [figure.mark for figure in diagram.document.values]
    assert len(marks) == len(set(marks))
    check_clear(diagram.document)
    check_arrows(diagram)


@pytest.mark.parametrize("name", LOOPS)
def test_each_unrolled_step_opens(name: str) -> None:
    diagram = drawn(BY_ID[name], unrolled=True)
    path = next(path for path, box in diagram.closed.items() if box.title == "t = 3")
    opened = diagram.opening(path)
    assert any(figure.path.startswith(f"{path}.") for figure in opened.document.boxes)
    assert len(opened.steps) > len(diagram.steps)
    check_clear(opened.document)
    check_arrows(opened)


def long_scan(h0: Any, xs: Any, U: Any, V: Any) -> Any:
    def cell(h: Any, x: Any) -> Any:
        h = np.tanh(h @ U + x @ V)
        return h, h

    last, hs = bg.scan(cell, h0, xs)
    return np.sum(hs**2) + np.sum(last)


@pytest.mark.parametrize("function", [rnn, long_scan])
def test_a_long_unrolled_loop_shows_both_ends(function: Any) -> None:
    normal = np.random.default_rng(0).normal
    model = modelled(
        function, (normal(size=(2, 4)), normal(size=(200, 2, 3)), np.eye(4), normal(size=(3, 4)))
    )
    diagram = diagram_of(model, unrolled=True)
    (gap,) = [figure for figure in diagram.document.boxes if figure.kind == "elided"]
    assert 180 < int(plain(gap.labels[0].runs).strip("× ")) < 200
    assert plain(gap.labels[1].runs) == "left out"
    assert not gap.opens
    assert len(diagram.document.boxes) < 40
    assert diagram.document.width < 12_000
    assert [step.number for step in diagram.steps] == list(range(1, len(diagram.steps) + 1))
    check_clear(diagram.document)
    check_arrows(diagram)


def test_unrolled_values_are_called_as_in_the_recurrence() -> None:
    diagram = drawn(BY_ID["rnn by scan"], unrolled=True)
    marks = {figure.mark for figure in diagram.document.values}
    assert {"h[1]", "∂h[1]", "h[4]", "∂h[4]"} <= marks
    shown = {plain(part.runs) for f in diagram.document.values for part in f.parts if isinstance(part, Label)}
    assert {"h_1", "h_4"} <= {text.partition(" ")[0] for text in shown}


def test_a_loop_in_a_loop_unrolls() -> None:
    def f(a: Any, xs: Any) -> Any:
        def outer(h: Any, x: Any) -> Any:
            def inner(g: Any, _: Any) -> Any:
                g = np.sin(g) * a
                return g, None

            h = bg.scan(inner, h + x, np.zeros(3))[0]
            return h, None

        return np.sum(bg.scan(outer, np.zeros(2), xs)[0])

    diagram = diagram_of(modelled(f, (np.ones(2), np.ones((2, 2)))), unrolled=True)
    assert len([path for path in diagram.opened if "." in path]) >= 2
    assert all(figure.kind != "loop" for figure in diagram.document.boxes)
    check_clear(diagram.document)


def test_a_loop_is_folded_with_its_carry() -> None:
    diagram = drawn(BY_ID["rnn by scan"])
    loop = next(figure for figure in diagram.document.boxes if figure.kind == "loop")
    x, y, w, _ = loop.rectangle
    above = [a for a in diagram.document.arrows if all(x < px < x + w and py < y for px, py in a.points)]
    assert [arrow.backward for arrow in above] == [False]


@pytest.mark.parametrize("direction", ["right", "down"])
def test_the_box_that_fails_is_drawn(direction: str) -> None:
    def f(X: Any, W: Any) -> Any:
        N = X @ W
        return np.sum(N + np.ones(5))

    with pytest.raises(bg.errors.BoxgradError) as caught:
        modelled(f, (np.ones((3, 3)), np.ones((3, 2))))
    model = partial(caught.value)
    assert model is not None
    diagram = failed_diagram(model, "shapes (3, 2) and (5,) do not fit", direction=direction)
    (bad,) = [figure for figure in diagram.document.boxes if figure.kind == "failed"]
    assert "shapes (3, 2) and (5,) do not fit" in [plain(rule.runs) for rule in bad.rules]
    assert all(step.direction == FORWARD for step in diagram.steps)
    check_clear(diagram.document)


def test_lenet_is_small() -> None:
    case = BY_ID["LeNet"]
    model = modelled(case.function, case.args)
    diagram = diagram_of(model)
    assert len(diagram.svg) < 400_000


def test_the_same_model_gives_the_same_picture() -> None:
    case = BY_ID["two layers"]
    assert drawn(case).svg == drawn(case).svg
