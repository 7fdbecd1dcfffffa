"""Modules: names, buffers, states, printing, beginnings."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest

from boxgrad import nn, tree
from boxgrad.errors import BoxgradError, ShapeError


class Gate(nn.Module):
    def __init__(self, inputs: int, hidden: int, seed: int = 0):
        self.weight = nn.init.xavier_uniform((hidden, inputs), seed=seed)
        self.bias = np.zeros(hidden, np.float32)

    def __call__(self, x):
        return x * nn.sigmoid(x @ self.weight.T + self.bias)


class Block(nn.Module):
    def __init__(self):
        self.scale = np.ones((), np.float32)
        self.inner = nn.Linear(3, 3, seed=1)
        self.others = [nn.Linear(3, 2, seed=2), {"gate": Gate(2, 2)}]
        self.temperature = np.sqrt(np.float64(2))
        self.positions = np.arange(3)
        self.register_buffer("mean", np.zeros(3, np.float32))

    def __call__(self, x):
        return self.others[1]["gate"](self.others[0](self.inner(x - self.mean) * self.scale))


NAMES = [
    "scale",
    "inner.weight",
    "inner.bias",
    "others.0.weight",
    "others.0.bias",
    "others.1.gate.weight",
    "others.1.gate.bias",
]


def test_names_of_parameters_buffers_and_modules():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == NAMES
    assert [name for name, _ in block.named_buffers()] == ["mean"]
    assert [name for name, _ in block.named_modules()] == ["", "inner", "others.0", "others.1.gate"]
    assert list(block.state_dict()) == ["scale", "mean", *NAMES[1:]]


def test_numpy_scalars_and_whole_numbers_are_not_parameters():
    names = [name for name, _ in Block().named_parameters()]
    assert "temperature" not in names
    assert "positions" not in names


def test_arrays_in_a_dataclass_are_parameters():
    @dataclass
    class Pair:
        left: np.ndarray
        right: np.ndarray

    class Holder(nn.Module):
        def __init__(self):
            self.pair = Pair(np.ones(2), np.zeros(3))

    assert [name for name, _ in Holder().named_parameters()] == ["pair.left", "pair.right"]


def test_a_tied_parameter_appears_once_and_has_both_names_in_the_state():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert len(list(model.parameters())) == 1
    assert list(model.state_dict()) == ["0.weight", "1.weight"]


def test_a_shared_module_is_walked_once():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(model.parameters())) == 2
    assert len(list(model.modules())) == 3


def test_trees_put_a_module_together_again():
    block = Block()
    leaves, structure = tree.flatten(block)
    again = tree.unflatten(structure, [np.array(leaf) for leaf in leaves])
    assert type(again) is Block
    assert list(again.state_dict()) == list(block.state_dict())
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(again(x), block(x))
    assert tree.flatten(copy.deepcopy(block))[1] == structure


def test_train_and_eval_reach_everything_and_come_back_to_the_same_structure():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
    before = tree.flatten(model)[1]
    assert not any(module.training for module in model.eval().modules())
    assert tree.flatten(model)[1] != before
    assert all(module.training for module in model.train().modules())
    assert tree.flatten(model)[1] == before


def test_state_goes_there_and_back_in_place():
    first, second = Block(), Block()
    for array in first.parameters():
        array += 1
    kept = second.inner.weight
    state = first.state_dict()
    assert second.load_state_dict(state) == ([], [])
    assert second.inner.weight is kept
    state["inner.weight"][...] = 7  # copies: the models do not see this
    for (_, left), (_, right) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_loading_casts_fractions_but_never_to_whole_numbers():
    layer = nn.Linear(2, 1, seed=0)
    layer.load_state_dict({"weight": [[0.5, 1.5]], "bias": np.array([2])})
    np.testing.assert_array_equal(layer.weight, np.array([[0.5, 1.5]], np.float32))
    assert layer.weight.dtype == np.float32

    class Counter(nn.Module):
        def __init__(self):
            self.register_buffer("count", np.array(0))

    with pytest.raises(ShapeError, match=r"count: the model has int64\[\], the state float64\[\]"):
        Counter().load_state_dict({"count": np.array(1.5)})


def test_a_state_that_does_not_fit_changes_nothing_and_says_all():
    block = Block()
    before = block.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    state["inner.wieght"] = state.pop("inner.weight")
    state["scale"] = np.ones(2)
    del state["others.0.bias"]
    with pytest.raises(ShapeError) as error:
        block.load_state_dict(state)
    text = str(error.value)
    assert r"scale: the model has float32[], the state float64[2]" in text
    assert "inner.weight: missing (did you mean inner.wieght?)" in text
    assert "inner.wieght: unexpected (did you mean inner.weight?)" in text
    assert "others.0.bias: missing" in text
    for name, array in block.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict_passes_over_names_but_not_shapes():
    layer = nn.Linear(2, 1)
    found = layer.load_state_dict({"weight": np.ones((1, 2)), "other": np.ones(1)}, strict=False)
    assert found.missing == ["bias"]
    assert found.unexpected == ["other"]
    np.testing.assert_array_equal(layer.weight, 1)
    with pytest.raises(ShapeError, match="weight: the model has"):
        layer.load_state_dict({"weight": np.ones((2, 1))}, strict=False)


def test_initialise_makes_a_model_from_one_seed():
    def model():
        return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4))

    first, second = model().initialise(5).state_dict(), model().initialise(5).state_dict()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    assert np.abs(first["2.weight"] - first["3.weight"]).max() > 0.01
    assert np.abs(first["2.weight"] - model().initialise(6).state_dict()["2.weight"]).max() > 0.01


def test_initialise_asks_for_reset_parameters_where_it_is_missing():
    with pytest.raises(BoxgradError, match="Gate does not say how to draw weight, bias"):
        nn.Sequential(Gate(2, 2)).initialise(0)


def test_calling_a_module_without_call():
    class Old(nn.Module):
        def forward(self, x):
            return x

    with pytest.raises(BoxgradError, match="rename forward to __call__"):
        Old()(1.0)
    with pytest.raises(BoxgradError, match="define __call__"):
        nn.ModuleList()(1.0)


def test_containers_are_lists():
    model = nn.Sequential(nn.Linear(2, 3), np.tanh)
    model.append(nn.Linear(3, 1)).extend([nn.Sigmoid()])
    assert len(model) == 4
    assert model[-1] is list(model)[3]
    assert list(model[1:3].state_dict()) == ["1.weight", "1.bias"]
    assert model[:1][0] is model[0]
    model[0] = nn.Linear(2, 3, bias=False)
    assert model(np.ones((5, 2), np.float32)).shape == (5, 1)
    layers = nn.ModuleList([nn.Linear(1, 1)])
    assert isinstance(layers[:], nn.ModuleList)


def test_a_module_prints_as_a_tree():
    assert repr(Block()).splitlines() == [
        "Block                   scale f32[], positions i64[3]; mean f32[3]  27 parameters",
        "├─ inner: Linear(3, 3)  weight f32[3,3], bias f32[3]                12",
        "└─ others: list",
        "   ├─ 0: Linear(3, 2)   weight f32[2,3], bias f32[2]                 8",
        "   └─ 1: dict",
        "      └─ gate: Gate     weight f32[2,2], bias f32[2]                 6",
    ]
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.LeakyReLU(0.2), nn.Sequential(np.tanh))
    assert repr(model).splitlines() == [
        "Sequential                                            6 parameters",
        "├─ 0: Linear(2, 3, bias=False)       weight f32[3,2]  6",
        "├─ 1: LeakyReLU(negative_slope=0.2)",
        "└─ 2: Sequential",
        "   └─ 0: tanh",
    ]
