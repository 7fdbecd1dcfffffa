"""``boxgrad explain``: functions in files, models of runs, and what it says of mistakes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from boxgrad import nn, optim
from boxgrad.cli import app
from boxgrad.data import digits
from boxgrad.train import Trainer
from boxgrad.train.models import mlp

SOURCE = """
import numpy as np
from helper import halved

def loss(X, W):
    N = X @ W
    S = np.tanh(N)
    L = np.sum(halved(S))
    return L

def chain(x, k=2.0):
    return np.sin(x) ** k

def picked(x, index):
    return np.sum(x[index] ** 2)

def crash(x):
    return x * [][0]

def array(X):
    return X * 2
"""
SHAPES = ["--shape", "X=3x3", "--shape", "W=3x2"]


@pytest.fixture
def source(tmp_path):
    (tmp_path / "helper.py").write_text("def halved(x):\n    return x / 2\n")
    (tmp_path / "chapter.py").write_text(SOURCE)
    return str(tmp_path / "chapter.py")


def run(*arguments: str):
    return CliRunner().invoke(app, ["explain", *arguments])


def test_the_terminal_view(source):
    found = run(f"{source}:loss", *SHAPES)
    assert found.exit_code == 0, found.output
    for line in ("loss(X, W)", "N = X W", "∂L/∂W = Xᵀ · ∂L/∂N", "def backward(saved):"):
        assert line in found.output


def test_the_page_in_chinese(source, tmp_path):
    page = tmp_path / "loss.html"
    found = run(f"{source}:loss", *SHAPES, "--html", str(page), "--lang", "zh")
    assert found.exit_code == 0, found.output
    assert "loss.html" in found.output
    assert '<html lang="zh-CN">' in page.read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_file(source, tmp_path):
    pages = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        run(f"{source}:loss", *SHAPES, "--html", str(tmp_path / f"{name}.html"), "--seed", seed)
        pages.append((tmp_path / f"{name}.html").read_bytes())
    assert pages[0] == pages[1] != pages[2]


def test_numbers_lists_and_defaults(source):
    assert "sin" in run(f"{source}:chain", "--value", "x=1.5").output
    found = run(f"{source}:picked", "--shape", "x=5", "--value", "index=[0,2,2]", "--wrt", "x")
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (":array", ["--shape", "X=3"], ["returns f64[3]", "where:   chapter.py", "so far:", "np.sum"]),
        (":loss", ["--shape", "X=3x3", "--shape", "W=2x2"], ["do not fit", "✗ X (3×3) @ W (2×2)"]),
        (":loss", ["--shape", "X=3x3"], ["the parameter W of loss"]),
        (":loss", [*SHAPES, "--shape", "Q=3"], ["no parameter Q", "X, W"]),
        (":loss", ["--shape", "X=abc"], ["--shape X=abc is not a shape"]),
        (":loss", ["--shape", "3x3"], ["--shape 3x3 cannot be read"]),
        (":loss", ["--value", "X=spam", "--shape", "W=2"], ["--value X=spam is not a number"]),
        (":loss", [*SHAPES, "--wrt", "Q"], ["'Q'"]),
        (":chain", ["--value", "x=1", "--value", "k=2"], ["without a real argument"]),
        (":crash", ["--value", "x=1.5"], ["crash() raised IndexError", "chapter.py:18", "return x * [][0]"]),
        (":nothing", [], ["no function nothing", "loss, chain"]),
        ("", [], ["is neither FILE.py:FUNCTION nor the folder of a run"]),
        (":loss", [*SHAPES, "--html", "page.pdf"], ["page.pdf", ".html, .svg"]),
    ],
)
def test_mistakes_are_paragraphs(source, target, options, words):
    found = run(source + target, *options)
    assert found.exit_code == 2, found.output
    for word in words:
        assert word in found.output
    assert "Traceback" not in found.output


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (
            ":array",
            ["--shape", "X=3"],
            ["要讲解的函数返回的是 f64[3]", "位置：chapter.py", "至此：", "改法："],
        ),
        (
            ":loss",
            ["--shape", "X=3x3", "--shape", "W=2x2"],
            ["无法计算", "✗ X (3×3) @ W (2×2)", "原因：形状"],
        ),
        (":loss", ["--shape", "X=3x3"], ["没有说明 loss 的参数 W", "--shape W=3x2，或 --value W=1.5"]),
        (":loss", [*SHAPES, "--shape", "Q=3"], ["loss 没有参数 Q", "它的参数是 X, W"]),
        (":loss", ["--shape", "X=abc"], ["--shape X=abc 不是形状"]),
        (":loss", ["--shape", "3x3"], ["--shape 3x3 读不懂"]),
        (":loss", ["--value", "X=spam", "--shape", "W=2"], ["--value X=spam 不是数"]),
        (":loss", [*SHAPES, "--wrt", "Q"], ["没有名为", "自变量有 X, W"]),
        (":chain", ["--value", "x=1", "--value", "k=2"], ["没有实数自变量"]),
        (":crash", ["--value", "x=1.5"], ["crash() 抛出了 IndexError", "位置：chapter.py:18"]),
        (":nothing", [], ["没有函数 nothing", "它定义了"]),
        ("", [], ["既不是 文件.py:函数名"]),
        (":loss", [*SHAPES, "--html", "page.pdf"], ["讲解不能存成 'page.pdf'", "扩展名决定写什么"]),
    ],
)
def test_mistakes_are_told_in_chinese(source, target, options, words):
    found = run(source + target, *options, "--lang", "zh")
    assert found.exit_code == 2, found.output
    for word in words:
        assert word in found.output
    for label in ("where:", "why:", "instead:", "Traceback"):
        assert label not in found.output
    again = run(source + ":nothing")
    assert "has no function nothing" in again.output  # the language does not stay


LOOP = """
import numpy as np
import boxgrad as bg

def rnn(h, xs, U):
    def cell(h, x):
        h = np.tanh(h @ U + x)
        return h, h
    last, hs = bg.scan(cell, h, xs)
    return np.sum(hs ** 2)
"""


def test_loops_are_unrolled_on_request(tmp_path):
    (tmp_path / "loop.py").write_text(LOOP)
    target = [f"{tmp_path / 'loop.py'}:rnn", "--shape", "h=2", "--shape", "xs=4x2", "--shape", "U=2x2"]
    folded, unrolled = run(*target), run(*target, "--unroll")
    assert folded.exit_code == unrolled.exit_code == 0, unrolled.output
    assert "hₜ = " in folded.output
    assert "h₃ = " not in folded.output
    assert "h₃ = " in unrolled.output
    assert "∂L/∂h₃ = " in unrolled.output
    page = tmp_path / "page.html"
    assert run(*target, "--unroll", "--html", str(page)).exit_code == 0
    assert "t = 3" in page.read_text(encoding="utf-8").partition('<script type="application/json"')[0]


def test_files_that_are_not_there_or_do_not_load(tmp_path):
    assert "there is no file" in run(str(tmp_path / "none.py:f")).output
    (tmp_path / "wrong.py").write_text("x = = 1\n")
    found = run(f"{tmp_path / 'wrong.py'}:f")
    assert found.exit_code == 2
    assert "raised SyntaxError" in found.output
    assert "line 1: x = = 1" in found.output


def test_a_failure_is_drawn(source, tmp_path):
    page = tmp_path / "page.html"
    found = run(f"{source}:loss", "--shape", "X=3x3", "--shape", "W=2x2", "--html", str(page))
    assert found.exit_code == 2
    assert str(page) in found.output.replace("\n", "")
    assert "failed" in page.read_text(encoding="utf-8")


def test_the_model_of_a_run(tmp_path):
    images = digits()
    model = mlp((1, 8, 8), 10, hidden=(4,))
    details = {"classes": list(images.classes), "shape": [1, 8, 8]}
    x, y = images.train
    trainer = Trainer(model, nn.cross_entropy, optim.Adam(model), out=tmp_path / "run", details=details)
    trainer.fit((x[:64], y[:64]), epochs=1)
    found = run(str(tmp_path / "run"), "--html", str(tmp_path / "run.html"))
    assert found.exit_code == 0, found.output
    assert "cross_entropy" in (tmp_path / "run.html").read_text(encoding="utf-8")
    refused = run(str(tmp_path / "run"), "--shape", "x=3")
    assert refused.exit_code == 2
    assert run(str(tmp_path)).exit_code == 2
