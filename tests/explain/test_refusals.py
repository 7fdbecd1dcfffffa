"""What is said where a function cannot be explained: what, where, why, in both languages."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.errors import REPAIRS
from boxgrad.explain.refusals import LABELS, in_language

X, W = np.arange(9.0).reshape(3, 3), np.ones((3, 2))
CHINESE = re.compile("[\u4e00-\u9fff]")


def array(X, W):
    N = X @ W
    return np.tanh(N)


def several(X, W):
    return np.sum(X), np.sum(W)


def nothing(X, W):
    return None


def added(X, W):
    N = X @ W
    return np.sum(N + np.ones(5))


def multiplied(X, W):
    N = X @ W
    return np.sum(N @ W)


def joined(X, W):
    return np.sum(np.concatenate([X, W]))


def beyond(X, W):
    N = X @ W
    return np.sum(N[7])


def reshaped(X, W):
    N = X @ W
    return np.sum(N.reshape(7, 7))


def wrong_axis(X, W):
    N = X @ W
    return np.sum(np.sum(N, axis=5))


def untraceable(X, W):
    N = X @ W
    return np.sum(np.unique(N))


def branching_cell(X, W):
    def cell(h, x):
        if h[0] > 0:
            h = h + x
        return h, None

    start = np.tanh(X[0])
    return np.sum(bg.scan(cell, start, X)[0])


def plain_array(X, W):
    N = X @ W
    return np.sum(np.array([N, N]))


REFUSED = [
    (array, ["return", "np.tanh(N)", "X (3×3) @ W (3×2)"]),
    (several, ["L (", "sum(X (3×3))"]),
    (nothing, []),
    (added, ["N (3×2)", "✗ add(N (3×2), C (5))"]),
    (multiplied, ["✗ N (3×2) @ W (3×2)"]),
    (joined, ["✗ concatenate(X (3×3), W (3×2))"]),
    (beyond, ["✗ slice(N (3×2))"]),
    (reshaped, ["N (3×2)"]),
    (wrong_axis, ["N (3×2)"]),
    (untraceable, ["N (3×2)", "np.unique"]),
    (branching_cell, ["h[0] > 0", "tanh("]),
    (plain_array, ["N (3×2)"]),
]


def refused(function: Any, lang: str) -> Exception:
    with pytest.raises(bg.BoxgradError) as caught:
        bg.explain(function, X, W, lang=lang)
    return caught.value


@pytest.mark.parametrize(("function", "words"), REFUSED, ids=[f.__name__ for f, _ in REFUSED])
def test_what_is_refused_is_explained_in_both_languages(function, words):
    english, chinese = str(refused(function, "en")), str(refused(function, "zh"))
    for word in words:
        assert word in english
        assert word in chinese
    assert not CHINESE.search(english)
    for label in ("why", "instead"):
        assert f"  {label}:" in english
    lines = chinese.splitlines()
    assert CHINESE.search(lines[0]), lines[0]
    for label in ("why", "instead"):
        (line,) = [line for line in lines if line.startswith(f"  {LABELS[label]}：")]
        said = line.partition("：")[2]
        assert CHINESE.search(said) or re.fullmatch(r"x\.reshape\(.*\)", said), line
    assert not re.search(r"^ +(where|why|instead|so far|picture):", chinese, re.M)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("function", [array, added, multiplied, branching_cell, untraceable])
def test_what_was_computed_before_is_drawn(function, lang, tmp_path):
    found = refused(function, lang).explanation
    assert found.failure.splitlines()[0] in str(found)
    shown = found._repr_html_()
    assert "<svg" in shown
    assert escape(found.failure.splitlines()[0], quote=False) in shown
    assert "def forward" not in shown
    page = found.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "failure" in page
    assert found.diagram.svg.count('class="box') >= 1
    if function in (added, multiplied):
        assert [f.kind for f in found.diagram.document.boxes][-1] == "failed"
    text = found.save(tmp_path / "page.md").read_text(encoding="utf-8")
    assert "mermaid" in text
    assert found.failure.splitlines()[0] in text


def test_an_error_of_ones_own_stays_what_it_is_with_a_note():
    def f(X, W):
        N = X @ W
        raise KeyError("mine" if N.shape else "none")

    with pytest.raises(KeyError) as caught:
        bg.explain(f, X, W, lang="zh")
    assert caught.value.args == ("mine",)
    (note,) = caught.value.__notes__
    assert "至此：N (3×2) = X (3×3) @ W (3×2)" in note
    assert "KeyError: 'mine'" in caught.value.explanation.failure


def test_branches_and_unused_arguments_are_notes():
    def f(X, W, b):
        N = X @ W
        if np.sum(N) > 0:
            return np.sum(N)
        return np.sum(N * N)

    found = bg.explain(f, X, W, 0.5, lang="zh")
    unused, branch = found.notes()
    assert unused == "L 不依赖于 b：它的梯度处处为 0。"
    assert re.search(r"函数用到了具体数值（test_refusals.py:\d+）", branch)
    assert "does not depend on b" in found.notes("en")[0]
    assert unused in found._repr_html_()
    assert unused in str(found)


def test_arguments():
    with pytest.raises(bg.BoxgradError, match="能讲解的只有函数"):
        bg.explain(3, X, lang="zh")
    with pytest.raises(bg.BoxgradError, match="没有给出自变量"):
        bg.explain(array, lang="zh")
    with pytest.raises(bg.BoxgradError, match="不能用 1 个自变量调用 array"):
        bg.explain(array, X, lang="zh")
    with pytest.raises(bg.BoxgradError, match="没有名为 'Q' 的实数自变量"):
        bg.explain(np.sum, X, wrt="Q", lang="zh")
    with pytest.raises(bg.BoxgradError, match="自变量都是整数或真值"):
        bg.explain(np.sum, np.arange(3), lang="zh")


def test_a_sentence_that_is_not_known_stays_as_it_is():
    text = "something else\n  where:   f.py:3\n  why:     nobody knows\n           nor why"
    assert in_language(text, "zh") == "something else\n  位置：f.py:3\n  原因：nobody knows\n        nor why"
    assert in_language(text, "en") == text


@pytest.mark.parametrize("repair", [text for _, text in REPAIRS])
def test_what_to_write_instead_of_what_cannot_be_computed(repair):
    said = in_language(f"  instead: {repair.format(4, 3)}", "zh").partition("：")[2]
    assert CHINESE.search(said) or re.fullmatch(r"[\w.(), ]+，或 .*", said), said
