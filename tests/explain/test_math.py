"""The printed mathematics: read back by an evaluator of its own, and compared with boxgrad's gradients."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from formula_evaluator import Formulas, close
from formula_loops import Reader, timed
from functions import Case, cases

import boxgrad as bg
from boxgrad import nn
from boxgrad.explain import unicode
from boxgrad.explain.chain import Chain
from boxgrad.explain.explanation import modelled
from boxgrad.explain.math import CLOSED_SIZE, Math, math_of

CASES = {case.id: case for case in cases()}


class Reading(NamedTuple):
    """What came of computing a printed document from what goes in."""

    math: Math
    model: Any
    given: dict[str, Any]
    known: dict[str, Any]
    reader: Reader
    wrong: list[str]


def read(case: Case, unrolled: bool = False) -> Reading:
    """Every printed line computed, from the first to the last, and compared with the numbers of boxgrad."""
    model = modelled(case.function, case.args)
    math = math_of(model, expand=False, unrolled=unrolled)
    chain = Chain(model)
    output = unicode.line(chain.output)
    given: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for value in model.values.values():
        name = unicode.line(chain.symbol(value))
        if value.node.value is not None:
            (given if value.node.primitive is None else known)[name] = np.asarray(value.node.value)
        if value.gradient is not None and value.gradient.value is not None:
            known[f"∂{output}/∂{name}"] = np.asarray(value.gradient.value)
    given |= {unicode.line(symbol): np.asarray(node.value) for node, symbol in chain.drawn.items()}
    if unrolled:
        parts = {
            timed(name, t + 1): value[t]
            for name, value in given.items()
            if np.ndim(value) and len(value) == 5
            for t in range(5)
        }
        given = parts | given
    functions = Formulas()
    for line in math.section("functions"):
        if re.match(r"^\w+′*\(x\) = ", line.text):
            functions.define(line.text)
    reader = Reader(
        given, functions.functions, {name: np.shape(value) for name, value in known.items()}, unrolled
    )
    written = [line for line in math.lines if line.direction != "functions" and " ∼ " not in line.text]
    reader.read([(line.text, line.note) for line in written])
    wrong = [
        name
        for name, values in reader.found.items()
        if name in known and not all(close(value, known[name]) for value in values)
    ]
    return Reading(math, model, given, known, reader, wrong)


def gradients(reading: Reading) -> set[str]:
    """The printed names of the gradients that the function was asked for."""
    chain = Chain(reading.model)
    output = unicode.line(chain.output)
    wanted = [value for value in reading.model.wrt if value.gradient is not None]
    return {f"∂{output}/∂{unicode.line(chain.symbol(value))}" for value in wanted}


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_printed_line_has_the_numbers(name: str) -> None:
    reading = read(CASES[name])
    assert reading.wrong == []
    assert reading.reader.unread == []
    assert gradients(reading) <= set(reading.reader.found)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_closed_forms_alone_give_the_gradients(name: str) -> None:
    """Computed from what goes in and what the forward pass found, without a line of the chain rule.

    Where nothing is to be substituted, the lines of the chain rule are the closed forms.
    """
    first = read(CASES[name])
    loops = any(box.kind == "loop" for box in _all(first.model.boxes))
    lines = first.math.section("closed") or ([] if loops else first.math.section("backward")[1:])
    values = first.reader.known.values | first.known | first.given
    forward = {key: value for key, value in values.items() if not key.startswith("∂")}
    shapes = {key: np.shape(value) for key, value in first.known.items()}
    reader = Reader(forward, first.reader.known.functions, shapes)
    reader.read([(line.text, line.note) for line in lines])
    assert reader.unread == []
    assert all(close(value, first.known[key]) for key, found in reader.found.items() for value in found)
    assert loops or gradients(first) <= set(reader.found)


def _all(boxes: Any) -> Any:
    for box in boxes:
        yield box
        yield from _all(box.inner)


LOOPS = sorted(
    case.id
    for case in cases()
    if any(b.kind == "loop" for b in _all(modelled(case.function, case.args).boxes))
)


@pytest.mark.parametrize("name", LOOPS)
def test_a_recurrence_written_step_by_step_has_the_numbers(name: str) -> None:
    reading = read(CASES[name], unrolled=True)
    assert reading.wrong == []
    assert reading.reader.unread == []
    assert gradients(reading) <= set(reading.reader.found)


def sigma_of_product(X: Any, W: Any) -> Any:
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L


def normal(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape)


def texts(math: Math, section: str) -> list[str]:
    return [line.text for line in math.section(section)]


def test_sigma_of_a_product_is_written_as_in_the_book() -> None:
    math = math_of(modelled(sigma_of_product, (normal(3, 3), normal(3, 2))))
    assert texts(math, "forward") == ["N = X W", "S = σ(N)", "L = Σ_{i,j} Sᵢⱼ"]
    assert texts(math, "functions") == ["σ(x) = 1/(1 + e^(−x))", "σ′(x) = σ(x) · (1 − σ(x))"]
    assert texts(math, "backward") == [
        "∂L/∂L = 1",
        "∂L/∂S = 𝟏_{3×2}",
        "∂L/∂N = ∂L/∂S ⊙ σ′(N)",
        "∂L/∂X = ∂L/∂N · Wᵀ",
        "∂L/∂W = Xᵀ · ∂L/∂N",
    ]
    assert texts(math, "closed") == ["∂L/∂X = σ′(X W) · Wᵀ", "∂L/∂W = Xᵀ · σ′(X W)"]
    assert "x₁₁ · w₁₁ + x₁₂ · w₂₁ + x₁₃ · w₃₁" in texts(math, "expanded")[0]
    assert "∂L/∂n₁₁ · w₁₁ + ∂L/∂n₁₂ · w₁₂" in texts(math, "expanded")[4]
    assert "≈" in texts(math, "numbers")[0]
    assert "∂L/∂X has the shape of X" in str(math)


def test_lines_know_what_they_belong_to() -> None:
    model = modelled(sigma_of_product, (normal(3, 3), normal(3, 2)))
    lines = math_of(model).section("backward")
    assert [line.value.name for line in lines if line.value] == ["L", "S", "N", "X", "W"]
    assert all(line.gradient for line in lines)
    assert [line.box and line.box.number for line in lines] == [None, 3, 2, 1, 1]
    assert lines[3].note == "3×3"


def test_softmax_with_cross_entropy_is_p_minus_y() -> None:
    case = CASES["cross_entropy"]
    math = math_of(modelled(case.function, case.args))
    assert texts(math, "backward")[1:] == ["∂L/∂logits = 1/3 (P − onehot₄(targets))"]

    def by_hand(Z: Any, Y: Any) -> Any:
        E = np.exp(Z)
        P = E / np.sum(E, axis=1, keepdims=True)
        return -np.mean(np.sum(Y * np.log(P), axis=1))

    math = math_of(modelled(by_hand, (normal(4, 3), np.eye(3)[[0, 2, 1, 1]])))
    assert "∂L/∂Z = 1/4 (P − Y)" in texts(math, "closed")


def test_softmax_cross_entropy_by_hand_with_classes() -> None:
    case = CASES["softmax cross-entropy"]
    math = math_of(modelled(case.function, case.args))
    assert texts(math, "closed") == ["∂L/∂Z = 1/3 (P − onehot₄(y))"]
    assert "z⁽³⁾ᵢ = p_{i,yᵢ}" in texts(math, "forward")
    assert "∂L/∂pᵢⱼ = [yᵢ = j] · ∂L/∂z⁽³⁾ᵢ" in texts(math, "backward")


def test_an_embedding_adds_up_what_is_looked_up() -> None:
    case = CASES["Embedding"]
    math = math_of(modelled(case.function, case.args))
    assert texts(math, "forward")[0] == "yᵢⱼₖ = w_{xᵢⱼ,k}"
    assert texts(math, "backward")[-1] == "∂L/∂wᵢⱼ = Σ_{k,l} [xₖₗ = i] · ∂L/∂yₖₗⱼ"


def test_a_write_into_a_slice_is_a_case() -> None:
    case = CASES["heat"]
    math = math_of(modelled(case.function, case.args))
    assert texts(math, "forward")[1] == "u⁽³⁾ᵢ = {u⁽²⁾_{i−1} if 1 ≤ i ≤ 10; uᵢ otherwise}"
    assert texts(math, "backward")[-1] == (
        "∂L/∂uᵢ = [i < 1 ∨ i > 10] · ∂L/∂u⁽³⁾ᵢ + 1/10 [i ≤ 9] · ∂L/∂u⁽²⁾ᵢ "
        "+ 4/5 [1 ≤ i ≤ 10] · ∂L/∂u⁽²⁾_{i−1} + 1/10 [i ≥ 2] · ∂L/∂u⁽²⁾_{i−2}"
    )
    assert any("count from 0" in remark for remark in math.remarks["functions"])


def test_running_products_and_all_others() -> None:
    math = math_of(modelled(lambda x: np.prod(x) + np.sum(np.cumprod(x)), (normal(4),)))
    assert texts(math, "backward")[-1] == "∂L/∂xᵢ = Σ_{j≥i} Π_{k≤j,k≠i} xₖ + Π_{j≠i} xⱼ"


def test_what_is_drawn_has_a_name_and_a_law() -> None:
    case = CASES["Dropout"]
    math = math_of(modelled(case.function, case.args))
    assert texts(math, "forward")[:2] == ["M ∼ Bernoulli(0.6)", "y = 5/3 x ⊙ M"]
    assert texts(math, "backward")[-1] == "∂L/∂x = 5/3 ∂L/∂y ⊙ M"
    assert "求梯度时视为常量" in str(math_of(modelled(case.function, case.args), lang="zh"))


def test_two_loops_have_different_names() -> None:
    case = CASES["LSTM both ways"]
    forward = texts(math_of(modelled(case.function, case.args)), "forward")
    assert any(text.startswith("hₜ = ") for text in forward)
    assert any(text.startswith("h_{2,t} = ") for text in forward)


def test_every_gradient_is_printed_after_those_in_it() -> None:
    case = CASES["LSTM"]
    backward = texts(math_of(modelled(case.function, case.args)), "backward")
    left = [text.partition(" = ")[0] for text in backward]
    (joined,) = [i for i, text in enumerate(backward) if "concat(" in text]
    used = re.findall(r"∂L/∂z_\{\d+,t\}", backward[joined].partition(" = ")[2])
    assert used
    assert all(left.index(name) < joined for name in used)


def test_constants_are_said() -> None:
    case = CASES["order"]
    math = math_of(modelled(case.function, case.args))
    assert "C: constant, [0, 1, 2, 3, 4]" in math.remarks["forward"]


def test_sentences_have_no_marks_of_a_template() -> None:
    for name in ("attention", "MaxPool2d", "Conv1d", "AvgPool1d", "LSTM", "cross_entropy"):
        for lang in ("en", "zh"):
            math = math_of(modelled(CASES[name].function, CASES[name].args), lang=lang)
            assert not any("{{" in text or "}}" in text for part in math.remarks.values() for text in part)


def test_a_loop_is_a_recurrence() -> None:
    def rnn(x: Any, h0: Any, W: Any) -> Any:
        def cell(h: Any, x: Any) -> Any:
            h = np.tanh(x + h @ W)
            return h, h

        _, y = bg.scan(cell, h0, x)
        return np.sum(y)

    math = math_of(modelled(rnn, (normal(4, 2, 3), normal(2, 3), normal(3, 3))))
    forward, backward = texts(math, "forward"), texts(math, "backward")
    assert any(text.startswith("hₜ = tanh(") for text in forward)
    assert any(re.match(r"∂L/∂hₜ = \(∂L/∂\w+\)ₜ \+ .*t\+1.*Wᵀ", text) for text in backward)
    assert any(text.startswith("∂L/∂W = Σₜ₌₁⁴ h_{t−1}ᵀ · ") for text in backward)
    assert not math.section("closed")
    unrolled = math_of(modelled(rnn, (normal(4, 2, 3), normal(2, 3), normal(3, 3))), unrolled=True)
    assert {"h₁", "h₄"} <= {text.partition(" = ")[0] for text in texts(unrolled, "forward")}


def test_broadcasting_is_a_sum_over_the_axis() -> None:
    math = math_of(modelled(lambda X, b: np.sum(np.tanh(X + b)), (normal(4, 3), normal(3))))
    assert any(re.match(r"∂L/∂b = Σᵢ \(.*\)_\{i,:\}$", text) for text in texts(math, "backward"))


def test_kept_axes_are_written_with_indices() -> None:
    math = math_of(modelled(lambda X: np.sum(X / np.sum(X * X, axis=1, keepdims=True)), (normal(4, 3),)))
    assert any("Σⱼ xᵢⱼ²" in text for text in texts(math, "forward"))


def test_a_function_without_a_name_has_its_own_derivative() -> None:
    @bg.boxed
    def bump(x: Any) -> Any:
        return x * np.exp(-x * x)

    math = math_of(modelled(lambda X: np.sum(bump(X)), (normal(2, 2),)))
    names = [text.partition(" = ")[0] for text in texts(math, "functions")]
    assert names == ["bump(x)", "bump′(x)"]
    assert any("bump′(X)" in text for text in texts(math, "backward"))


def test_what_the_simplifier_did_can_be_shown() -> None:
    math = math_of(modelled(lambda X, y: np.mean((X - y) ** 2), (normal(4, 2), normal(4, 2))))
    (line,) = [line for line in math.section("backward") if line.value and line.value.name == "X"]
    done = [what for what, _, _ in line.derivation("en")]
    assert "powers of one base are combined" in done
    assert all(what for what, _, _ in line.derivation("zh"))


def test_both_languages() -> None:
    model = modelled(sigma_of_product, (normal(3, 3), normal(3, 2)))
    assert "反向：链式法则" in str(math_of(model, lang="zh"))
    assert "其他" in str(math_of(modelled(lambda x: np.sum(nn.relu(x)), (normal(3),)), lang="zh"))


def test_names_are_those_of_the_model() -> None:
    case = CASES["two layers"]
    math = math_of(modelled(case.function, case.args))
    assert any("W₁" in text for text in texts(math, "forward"))
    model = bg.tree.map(
        lambda a: a.astype(float), nn.Sequential(nn.Linear(2, 3, seed=0), nn.Linear(3, 1, seed=1))
    )
    math = math_of(modelled(lambda model, x: np.sum(model(x)), (model, normal(4, 2))))
    assert "W₀: weight 0" in str(math)


def test_large_functions_are_cut() -> None:
    case = CASES["LeNet"]
    model = modelled(case.function, case.args)
    math = math_of(model)
    assert max(line.expression.size for line in math.section("closed")) <= CLOSED_SIZE + 10


def test_two_hundred_steps_do_not_explode() -> None:
    def rnn(h: Any, W: Any) -> Any:
        for _ in range(200):
            h = np.tanh(h @ W)
        return np.sum(h)

    model = modelled(rnn, (normal(2, 3), normal(3, 3)))
    math = math_of(model)
    assert len(math.text) < 200_000
    assert len(math.latex) < 1_000_000


def test_every_layer_loss_and_activation_is_among_the_cases() -> None:
    used: set[str] = set()

    def look(part: Any) -> None:
        if isinstance(part, nn.Module):
            used.add(type(part).__name__)
            for inner in vars(part).values():
                look(inner)
        elif isinstance(part, (list, tuple)):
            for inner in part:
                look(inner)

    for case in CASES.values():
        look(case.args)
        model = modelled(case.function, case.args)
        used |= {box.title for box in _all(model.boxes)} | {getattr(case.function, "__name__", "")}
    assert set(nn.__all__) - used - {"Module", "init"} == set()
