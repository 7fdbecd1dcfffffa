"""Measurements beside peers: work is counted right, losses are compared, files say what was asked."""

import json
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

import boxgrad as bg
from boxgrad.bench.flops import flops
from boxgrad.bench.measure import Figures, _compared, measure_model, measure_steps
from boxgrad.bench.models import CASES
from boxgrad.bench.probe import Block, Bracketed, Reading
from boxgrad.bench.steps import peers_named
from boxgrad.cli import app
from boxgrad.errors import BoxgradError


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# ---- the work of a step
def test_operations_of_the_mlp_are_those_of_its_products():
    batch, sizes = 64, (784, 128, 64, 10)
    products = [2 * batch * a * b for a, b in pairwise(sizes)]
    # Forward, the gradient of every weight, and of every layer's input but the first's.
    expected = 2 * sum(products) + sum(products[1:])
    case = CASES["mlp"]
    model = case.build(bg.nn)
    x, y = case.data()
    graph = bg.trace(bg.grad(lambda m: bg.nn.cross_entropy(m(x), y)), model)
    assert flops(graph) == expected


@pytest.mark.parametrize(("groups", "stride", "padding"), [(1, 1, 0), (2, 2, 1)])
def test_operations_of_convolutions(groups, stride, padding):
    x, w = np.ones((3, 4, 7, 8)), np.ones((6, 4 // groups, 3, 2))

    def f(x, w):
        return np.sum(bg.conv(x, w, stride=stride, padding=padding, groups=groups))

    y = bg.conv(x, w, stride=stride, padding=padding, groups=groups)
    once = 2 * y.size * w[0].size
    assert flops(bg.trace(f, x, w)) == once
    assert flops(bg.trace(bg.grad(f, argnums=(0, 1)), x, w)) == 2 * once  # the forward pass is not needed


def test_operations_in_a_loop_count_once_a_step():
    def f(h, xs, U):
        return np.sum(bg.scan(lambda h, x: (np.tanh(h @ U + x), h), h, xs)[0])

    args = np.ones((2, 3)), np.ones((5, 2, 3)), np.ones((3, 3))
    assert flops(bg.trace(f, *args)) == 5 * 2 * 2 * 3 * 3


# ---- measuring
@pytest.mark.parametrize("name", sorted(CASES))
def test_every_case_has_the_layers_it_names(name):
    case = CASES[name]
    x, y = case.data()
    scores = case.build(bg.nn).initialise(seed=0)(x)
    assert scores.shape == (len(y), 65 if case.text else 10)
    assert set(case.state()) == set(case.build(bg.nn).state_dict())


def test_a_model_beside_the_reference_engine():
    figures = measure_model("mlp", peers_named("numpy"), "native", threads=1, rounds=1, say=lambda text: None)
    assert figures.ours_ms > 0
    assert figures.peers["numpy"] > 0
    assert figures.ratio == pytest.approx(figures.peers["numpy"] / figures.ours_ms)
    assert figures.losses[0] > figures.losses[-1]
    assert figures.differences["numpy"] < 1e-5
    assert figures.gflops == pytest.approx(figures.peak_fraction * figures.probe)


def test_a_peer_that_computes_something_else_is_not_timed():
    with pytest.raises(BoxgradError, match="differ by"):
        _compared("mine", {"boxgrad": lambda: 1.0, "other": lambda: 1.1})


def test_slow_blocks_are_left_out():
    good, bad = Reading(100.0, 20.0), Reading(40.0, 20.0)
    record = Bracketed(blocks=[
        Block("a", [1.0, 1.0], good, good),
        Block("b", [2.0, 2.0], good, good),
        Block("a", [9.0, 9.0], bad, good),
        Block("b", [18.0, 18.0], bad, good),
    ])  # fmt: skip
    assert record.summary("a").median == 1.0
    assert record.summary("a").slow == 2
    assert record.ratio("a", "b") == 0.5
    assert record.peak("a") == 100.0


def test_one_lucky_probe_does_not_make_the_others_slow():
    usual, lucky = Reading(100.0, 20.0), Reading(300.0, 20.0)
    blocks = [Block("a", [1.0], usual, usual) for _ in range(9)]
    record = Bracketed(blocks=[*blocks, Block("a", [1.0], usual, lucky)])
    assert record.usual.gflops == 100.0
    assert not any(map(record.is_slow, record.blocks))


def test_blocks_that_wait_for_a_processor_are_slow():
    good = Reading(100.0, 20.0)
    record = Bracketed(blocks=[Block("a", [1.0], good, good, 0.02), Block("a", [5.0], good, good, 0.5)])
    assert list(map(record.is_slow, record.blocks)) == [False, True]
    record.gap = 0
    record.measure("b", lambda: sum(range(100_000)), 3)
    assert 0 <= record.blocks[-1].waiting < 1


def test_ratios_are_those_of_pairs_in_a_good_phase_where_there_are_enough():
    good, bad = Reading(100.0, 20.0), Reading(40.0, 20.0)
    blocks = []
    for reading, other in ((good, 2), (good, 2), (bad, 9), (bad, 9), (bad, 9), (good, 2)):
        blocks += [Block("a", [1.0], reading, reading), Block("b", [other], reading, reading)]
    assert Bracketed(blocks=blocks).ratio("b", "a") == 2
    assert Bracketed(blocks=blocks[2:]).ratio("b", "a") == 9  # two good pairs are too few


def test_ones_own_steps():
    figures = measure_steps("mine", {"boxgrad": lambda: 1, "other": lambda: 2}, None, threads=1, rounds=1)
    assert isinstance(figures, Figures)
    assert figures.gflops is None
    assert set(figures.peers) == {"other"}


# ---- the command
STEPS = """
import numpy as np
import boxgrad as bg

@bg.compile(engine="numpy")
def product(a):
    return a @ a

def step():
    return product(np.ones((8, 8)))

def step_by_hand():
    return np.ones((8, 8)) @ np.ones((8, 8))

def failing():
    return 1 / 0

def asking(a):
    return a
"""


def test_files(tmp_path):
    (tmp_path / "mine.py").write_text(STEPS)
    file, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    options = ("--rounds", 1, "--threads", 1, "--json", file, "--plot", picture)
    result = call(
        "bench", f"{tmp_path}/mine.py:step", "--against", f"{tmp_path}/mine.py:step_by_hand", *options
    )
    assert result.exit_code == 0, result.output
    assert "step_by_hand" in result.output
    (model,) = json.loads(file.read_text())["models"]
    assert {"model", "ours_ms", "peers", "ratio", "gflops", "peak_fraction", "probe"} <= set(model)
    assert model["ratio"] > 0
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("resnet",), "the models are mlp, lenet"),
        (("mlp", "--against", "theano"), "there is no peer 'theano'"),
        (("absent.py:step",), "there is no file absent.py"),
        (("{mine}:absent",), "it defines step, step_by_hand, failing, asking"),
        (("{mine}:asking",), "cannot be called without arguments"),
        (("{mine}:failing",), "raised ZeroDivisionError"),
        (("{mine}:step", "--against", "{mine}:failing"), "mine.py:16: return 1 / 0"),
        (("mlp", "--json", "{folder}"), "cannot be written"),
        (("mlp", "--json", "{folder}/absent/bench.json"), "cannot be written"),
        (("mlp", "--plot", "{folder}/bench.txt"), "ends in none of .png .svg .pdf"),
        (("mlp", "--engine", "abacus"), "there is no engine 'abacus'"),
        (("mlp", "--threads", "0"), "--threads"),
    ],
)
def test_bad_input(arguments, said, tmp_path):
    (tmp_path / "mine.py").write_text(STEPS)
    given = [part.format(mine=tmp_path / "mine.py", folder=tmp_path) for part in arguments]
    result = call("bench", *given)
    assert result.exit_code == 2
    assert said in result.output
