"""The gradient doctor: what it says of gradients derived by hand, right ones and wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from by_hand import NETWORK, RECURRENT, draw, network, network_backward, recurrent, recurrent_backward

import boxgrad as bg
from boxgrad.errors import BoxgradError, GradientMistake


def network_with(bug: str) -> Any:
    return lambda *args: network_backward(*args, bug)


def recurrent_with(bug: str) -> Any:
    return lambda *args: recurrent_backward(*args, bug)


# ---- right
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_right(dtype: type) -> None:
    verdict = bg.check(network, network_backward, *(x.astype(dtype) for x in NETWORK))
    assert verdict.ok is True
    assert not verdict.findings
    assert max(verdict.errors.values()) < (1e-12 if dtype is np.float64 else 1e-5)
    verdict.raise_if_wrong()
    assert bg.check(recurrent, recurrent_backward, *(x.astype(dtype) for x in RECURRENT)).ok


def test_a_gradient_that_is_zero() -> None:
    def shift(x: Any, b: Any) -> Any:
        z = x + b
        return np.sum(np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z)))) * np.sum(x**2)

    (x,) = draw(3, (6,))
    assert bg.check(shift, lambda x, b: (2 * x, np.zeros(())), x, np.array(0.3)).ok
    assert not bg.check(shift, lambda x, b: (2 * x, np.full((), 1e-9)), x, np.array(0.3)).ok


# ---- one mistake
@pytest.mark.parametrize(
    ("bug", "kind", "box"),
    [
        ("count", "constant factor", "L"),
        ("slope", "derivative left out", "S"),
        ("before", "wrong value", "S"),
        ("wide", "sum too wide", "N"),
        ("rows", "sum missing", "N"),
        ("transposed", "transposed", "N"),
        ("infinite", "not finite", None),
    ],
)
def test_one_mistake(bug: str, kind: str, box: str | None) -> None:
    verdict = bg.check(network, network_with(bug), *NETWORK)
    assert verdict.ok is False
    (finding,) = verdict.findings
    assert finding.kind == kind
    assert (finding.where.box if finding.where else None) == box
    if finding.where is not None:
        assert finding.where.line is not None
        assert "by_hand.py" in finding.where.line.filename
    with pytest.raises(GradientMistake, match="∂L/∂"):
        verdict.raise_if_wrong()


@pytest.mark.parametrize(
    ("bug", "kind"), [("square", "term missing"), ("late", "wrong value"), ("transposed", "transposed")]
)
def test_a_line_that_runs_several_times(bug: str, kind: str) -> None:
    verdict = bg.check(recurrent, recurrent_with(bug), *RECURRENT)
    (finding,) = verdict.findings
    assert finding.kind == kind
    assert finding.evidence["copies"] == 3


def test_factor_says_what_it_is_the_size_of() -> None:
    (finding,) = bg.check(network, network_with("count"), *NETWORK).findings
    assert "14" in finding.explanation
    assert "number of elements" in finding.explanation
    assert finding.formula
    assert finding.evidence


def test_repair_as_formula_and_code() -> None:
    (finding,) = bg.check(network, network_with("slope"), *NETWORK).findings
    assert finding.formula == "∂L/∂N = ∂L/∂S ⊙ σ′(N)"
    assert finding.code == "dL_dN = dL_dS * S * (1 - S)"


# ---- more than one, or none that has a name
def test_mistakes_of_separate_gradients() -> None:
    verdict = bg.check(network, network_with("both"), *NETWORK)
    assert {(f.argument, f.kind) for f in verdict.findings} == {("W", "sign"), ("b", "sum too wide")}


def test_a_mistake_without_a_name_has_a_place() -> None:
    (finding,) = bg.check(network, network_with("odd"), *NETWORK).findings
    assert finding.kind == "unknown"
    assert finding.where is not None
    assert "S" in finding.where.boxes
    assert len(finding.where.boxes) <= 2


def test_another_function() -> None:
    def loss(p: Any, y: Any) -> Any:
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    p = np.array([0.2, 0.7, 0.4, 0.9, 0.3, 0.6])
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    verdict = bg.check(loss, lambda p, y: -y / p / p.size, p, y, wrt="p")
    assert verdict.findings[0].kind == "another loss"


def test_parameters_read_in_place_of_others() -> None:
    def gates(x: Any, W: Any, U: Any) -> Any:
        a = np.tanh(x @ W)
        b = np.tanh(x @ U)
        return np.sum(a * b)

    def wrong(x: Any, W: Any, U: Any) -> Any:
        a = np.tanh(x @ U)
        d = 2 * a * (1 - a * a)
        return d @ U.T, np.zeros_like(W), x.T @ d

    verdict = bg.check(gates, wrong, *draw(4, (3, 4), (4, 5), (4, 5)))
    assert verdict.findings[0].kind == "parameter swapped"


# ---- what fools a checker
def linear(X: Any, W: Any, b: Any, y: Any) -> Any:
    N = X @ W + b
    return np.mean((N - y) ** 2)


def linear_backward(X: Any, W: Any, b: Any, y: Any, bug: str = "") -> Any:
    N = X @ W + b
    d = 2 * (N - y) / (N.shape[1] ** 2 if bug == "columns" else N.size)
    return d @ W.T, X.T @ d, d[0] if bug == "first" else d.sum(0)


def test_right_for_batch_1_only() -> None:
    args = draw(5, (1, 3), (3, 4), (4,), (1, 4))
    assert bg.check(linear, linear_backward, *args, wrt=("X", "W", "b")).ok
    verdict = bg.check(linear, lambda *a: linear_backward(*a, "first"), *args, wrt=("X", "W", "b"))
    assert [(f.argument, f.kind) for f in verdict.findings] == [("b", "right for batch 1 only")]


def test_right_for_square_shapes_only() -> None:
    args = draw(6, (4, 4), (4, 4), (4,), (4, 4))
    assert bg.check(linear, linear_backward, *args, wrt=("X", "W", "b")).ok
    verdict = bg.check(linear, lambda *a: linear_backward(*a, "columns"), *args, wrt=("X", "W", "b"))
    assert {f.kind for f in verdict.findings} == {"right for square shapes only"}


def test_labels_stay_labels() -> None:
    def cross_entropy(W: Any, X: Any, Y: Any) -> Any:
        z = X @ W
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return -np.mean(np.sum(Y * np.log(p), axis=1))

    def backward(W: Any, X: Any, Y: Any) -> Any:
        e = np.exp(X @ W)
        return X.T @ (e / e.sum(axis=1, keepdims=True) - Y) / len(X)

    W, X = draw(7, (3, 4), (6, 3))
    assert bg.check(cross_entropy, backward, W, X, np.eye(4)[[0, 1, 2, 3, 1, 2]], wrt="W").ok


def hinge(x: Any) -> Any:
    return np.sum(2 * np.abs(x) + np.maximum(x, 0))


KINK = np.array([1.0, -2.0, 0.0, 3.0])


def test_kinks() -> None:
    right = bg.check(hinge, lambda x: 2 * np.sign(x) + (x >= 0), KINK)
    assert right.ok
    assert "kink" in right.notes[0]
    wrong = bg.check(hinge, lambda x: np.where(x == 0, 9, 2 * np.sign(x) + (x > 0)), KINK)
    assert [f.kind for f in wrong.findings] == ["wrong at kinks"]
    with np.errstate(all="ignore"):
        nowhere = bg.check(hinge, lambda x: 2 * x / np.abs(x) + (x > 0), KINK)
    assert [f.kind for f in nowhere.findings] == ["not finite"]


def test_not_deterministic() -> None:
    random = np.random.default_rng(0)
    verdict = bg.check(hinge, lambda x: 2 * np.sign(x) + (x > 0) + random.normal(size=4), KINK)
    assert [f.kind for f in verdict.findings] == ["not deterministic"]
    unclear = bg.check(lambda x: hinge(x) + random.normal(), lambda x: x, KINK)
    assert unclear.ok is None
    assert unclear.findings[0].kind == "not deterministic"


def test_precision_only() -> None:
    def softplus(x: Any) -> Any:
        return np.sum(np.logaddexp(x, 0))

    x = np.linspace(-16, -12, 9).astype(np.float32)
    one = np.float32(1)
    verdict = bg.check(softplus, lambda x: one.astype(x.dtype) - 1 / (1 + np.exp(x)), x)
    assert [f.kind for f in verdict.findings] == ["precision only"]
    assert float(verdict.findings[0].evidence["double"]) < 1e-6
    assert bg.check(softplus, lambda x: 1 / (1 + np.exp(-x)), x).ok


def test_weight_decay_is_seen() -> None:
    verdict = bg.check(hinge, lambda x: 2 * np.sign(x) + (x > 0) + 0.1 * x, KINK + 0.5)
    assert verdict.findings[0].evidence["factor"] == pytest.approx(0.1)


# ---- claims that cannot be compared
@pytest.mark.parametrize(
    ("mine", "kind"),
    [
        (lambda x: x @ np.ones((7, 7)), "raises"),
        (lambda x: None, "returns nothing"),
        (lambda x: (x, x), "wrong number of results"),
    ],
)
def test_no_gradient_at_all(mine: Any, kind: str) -> None:
    verdict = bg.check(hinge, mine, KINK)
    assert verdict.ok is False
    assert verdict.findings[0].kind == kind
    assert verdict.findings[0].explanation


def test_a_function_without_a_gradient() -> None:
    with pytest.raises(BoxgradError, match="one real number"):
        bg.check(lambda x: 2 * x, lambda x: x, KINK)
    with pytest.raises(BoxgradError, match="lang"):
        bg.check(hinge, lambda x: x, KINK, lang="xx")


# ---- display
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_display(lang: str) -> None:
    verdict = bg.check(network, network_with("wide"), *NETWORK, lang=lang)
    text, page = str(verdict), verdict._repr_html_()
    assert "by_hand.py" in text
    assert "∂L/∂b" in text
    assert 'class="box failed"' in page or "failed" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert ("求和过宽" in text) == (lang == "zh")


def test_a_claim_that_raises_at_a_later_call_is_a_finding():
    calls = iter(range(8))

    def loss(X):
        L = np.sum(np.tanh(X))
        return L

    def mine(X):
        return 2 * (1 - np.tanh(X) ** 2) + 0 * next(calls)

    assert [f.kind for f in bg.check(loss, mine, np.full((4, 3), 0.2)).findings] == ["raises"]


def test_a_claim_that_is_right_by_half_is_not_deterministic():
    X, W = np.ones((4, 3)), np.full((3, 2), 0.2)
    draws = iter([1.0, 1.0, 1.0, 0.0] * 100)

    def loss(X, W):
        N = X @ W
        L = np.sum(np.tanh(N))
        return L

    def mine(X, W):
        dN = (1 - np.tanh(X @ W) ** 2) * next(draws)
        return dN @ W.T, X.T @ dN

    assert [f.kind for f in bg.check(loss, mine, X, W).findings] == ["not deterministic"]
