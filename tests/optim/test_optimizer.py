"""What all optimisers share: which arrays they touch, errors, learning rate, state, printing."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from boxgrad import nn, tree
from boxgrad.errors import ShapeError
from boxgrad.optim import SGD, Adagrad, Adam, AdamW, RMSprop

MAKERS = [
    lambda model: SGD(model, lr=0.1, momentum=0.9),
    Adagrad,
    lambda model: RMSprop(model, centered=True, momentum=0.5),
    lambda model: Adam(model, amsgrad=True),
    AdamW,
]


class Scale(nn.Module):
    """A parameter, a floating-point buffer and an integer buffer."""

    def __init__(self, size: int) -> None:
        self.weight = np.ones(size, np.float32)
        self.register_buffer("running_mean", np.zeros(size, np.float32))
        self.register_buffer("seen", np.zeros((), np.int64))

    def __call__(self, x):
        return x * self.weight - self.running_mean


@dataclass
class Pair:
    first: Any
    second: Any


def ones_like(model):
    return tree.map(lambda leaf: None if leaf.dtype.kind != "f" else np.ones_like(leaf), model)


def test_only_parameters_of_modules_change():
    model = nn.Sequential(nn.Linear(3, 2), Scale(2))
    before = model.state_dict()
    SGD(model, lr=0.5).update(model, ones_like(model))
    after = model.state_dict()
    for name in ("0.weight", "0.bias", "1.weight"):
        np.testing.assert_array_equal(after[name], before[name] - np.float32(0.5))
    for name in ("1.running_mean", "1.seen"):
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("container", [dict, list, Pair])
def test_modules_inside_containers_keep_their_buffers(container):
    modules = Scale(2), Scale(3)
    model = {
        dict: lambda: {"first": modules[0], "second": modules[1]},
        list: lambda: [*modules],
        Pair: lambda: Pair(*modules),
    }[container]()
    SGD(model, lr=0.5).update(model, ones_like(model))
    assert all(np.all(module.weight == 0.5) for module in modules)
    assert all(np.all(module.running_mean == 0) for module in modules)


def test_nested_containers_and_integers():
    model = {"layers": [(np.ones(2), np.ones(3)), (np.ones(4),)], "count": np.array(5), "heads": 4}
    gradients = {"layers": [(np.ones(2), np.ones(3)), (np.ones(4),)], "count": None, "heads": None}
    optimizer = Adam(model, lr=0.25)
    assert list(optimizer.first_moment) == ["layers.0.0", "layers.0.1", "layers.1.0"]
    optimizer.update(model, gradients)
    np.testing.assert_allclose(model["layers"][1][0], 0.75)
    assert model["count"] == 5


def test_a_flat_dict_of_names_fits_a_module():
    model = nn.Sequential(nn.Linear(3, 2, bias=False))
    before = model.state_dict()["0.weight"]
    SGD(model, lr=1.0).update(model, {"0.weight": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(model.state_dict()["0.weight"], before - 1)


@pytest.mark.parametrize("make", MAKERS)
def test_missing_gradients_leave_parameter_and_state_alone(make):
    model = {"frozen": np.ones(2), "trained": np.ones(2)}
    optimizer = make(model)
    before = optimizer.state_dict()
    optimizer.update(model, {"frozen": None, "trained": np.ones(2)})
    np.testing.assert_array_equal(model["frozen"], 1)
    assert np.all(model["trained"] < 1)
    for name, array in optimizer.state_dict().items():
        if name.endswith(".frozen"):
            np.testing.assert_array_equal(array, before[name])


def test_one_gradient_array_for_two_parameters_reaches_both():
    model = nn.Sequential(Scale(2), Scale(2))
    gradients = ones_like(model)
    gradients[1].weight = gradients[0].weight
    SGD(model, lr=0.5).update(model, gradients)
    np.testing.assert_array_equal(model[0].weight, [0.5, 0.5])
    np.testing.assert_array_equal(model[1].weight, [0.5, 0.5])


def test_scalar_gradients_of_parameters_without_axes():
    model = Scale(1)
    model.weight = np.ones((), np.float32)
    gradients = ones_like(model)
    gradients.weight = np.float32(2.0)
    SGD(model, lr=0.25).update(model, gradients)
    assert model.weight == 0.5


def test_tied_parameters_are_updated_once_with_the_sum():
    shared = np.ones(2)
    model = {"encoder": shared, "decoder": shared}
    SGD(model, lr=1.0).update(model, {"encoder": np.full(2, 0.25), "decoder": np.full(2, 0.5)})
    np.testing.assert_array_equal(shared, 0.25)
    whole = np.full(2, 0.125)
    optimizer = Adam(model, lr=0.1)
    optimizer.update(model, {"encoder": whole, "decoder": whole})
    np.testing.assert_allclose(shared, 0.15)
    assert list(optimizer.first_moment) == ["encoder"]
    np.testing.assert_allclose(optimizer.first_moment["encoder"], 0.0125)


def test_tied_modules_are_updated_once_with_the_sum():
    layer = Scale(2)
    model = nn.Sequential(layer, Scale(2), layer)
    gradients = nn.Sequential(Scale(2), Scale(2), Scale(2))
    SGD(model, lr=0.125).update(model, gradients)
    np.testing.assert_array_equal(layer.weight, 0.75)
    np.testing.assert_array_equal(model[1].weight, 0.875)


def test_an_error_changes_nothing():
    model = {"a": np.ones(2), "b": np.ones(3)}
    optimizer = Adam(model)
    with pytest.raises(ShapeError, match=r"gradient of 'b' has shape \(2,\), the parameter \(3,\)"):
        optimizer.update(model, {"a": np.ones(2), "b": np.ones(2)})
    assert np.all(model["a"] == 1)
    assert optimizer.step == 0


@pytest.mark.parametrize(
    ("gradients", "words"),
    [
        ({"a": np.ones((1, 2))}, r"shape \(1, 2\), the parameter \(2,\)"),
        ({"a": np.ones(2, np.int64)}, "gradient of 'a' is of int64"),
        ({"a": np.ones(2, np.complex128)}, "gradient of 'a' is of complex128"),
        ({"a": 1.0}, "gradient of 'a' is of float"),
        ({"c": np.ones(2)}, "without a parameter: c"),
        ([np.ones(2)], "without a parameter: 0"),
    ],
)
def test_gradients_that_do_not_fit(gradients, words):
    model = {"a": np.ones(2)}
    with pytest.raises(ShapeError, match=words):
        SGD(model).update(model, gradients)


def test_another_model_is_refused():
    optimizer = SGD({"a": np.ones(2)})
    with pytest.raises(ShapeError, match="without it"):
        optimizer.update({"b": np.ones(2)}, {"b": np.ones(2)})
    with pytest.raises(ShapeError, match=r"where it has shape \(2,\)"):
        optimizer.update({"a": np.ones(3)}, {"a": np.ones(3)})


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ({"w": 0.5}, ShapeError, r"np.array\(0.5\)"),
        ({"w": np.float32(0.5)}, ShapeError, r"np.array\(0.5\)"),
        ({"w": np.ones(2, complex)}, ShapeError, "complex"),
        ({"w": np.ones(2, int)}, ValueError, "no parameters"),
        ([], ValueError, "no parameters"),
    ],
)
def test_models_that_cannot_be_trained(model, error, words):
    with pytest.raises(error, match=words):
        SGD(model)


def test_learning_rate_is_one_array_for_ever():
    w = np.ones(1)
    optimizer = SGD(w, lr=0.5)
    array = optimizer.learning_rate
    optimizer.lr = 0.25
    assert optimizer.lr == 0.25
    assert type(optimizer.lr) is float
    assert optimizer.learning_rate is array
    optimizer.update(w, np.ones(1))
    assert w[0] == 0.75
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.lr = -1.0
    assert optimizer.lr == 0.25


@pytest.mark.parametrize("make", MAKERS)
def test_state_makes_the_round_trip_bit_for_bit(make):
    random = np.random.default_rng(1)
    model = {"w": random.normal(size=(3, 2)).astype(np.float32), "b": np.zeros(2)}
    gradients = [
        {"w": random.normal(size=(3, 2)).astype(np.float32), "b": random.normal(size=2)} for _ in range(6)
    ]
    optimizer = make(model)
    for gradient in gradients[:3]:
        optimizer.update(model, gradient)
    optimizer.lr = 0.0123
    saved = optimizer.state_dict()
    copy = {name: array.copy() for name, array in model.items()}
    other = make(copy)
    other.load_state_dict(saved)
    assert repr(other) == repr(optimizer)
    for gradient in gradients[3:]:
        optimizer.update(model, gradient)
        other.update(copy, gradient)
    for name, array in model.items():
        assert array.tobytes() == copy[name].tobytes()
    assert saved["step"] == 3


def test_states_that_do_not_fit_change_nothing():
    optimizer = Adam({"w": np.ones(2)})
    state = optimizer.state_dict()
    with pytest.raises(ShapeError, match=r"missing \['second_moment.w'\], unknown \['velocity.w'\]"):
        optimizer.load_state_dict(
            {"velocity.w": state["second_moment.w"]}
            | {name: array for name, array in state.items() if name != "second_moment.w"}
        )
    with pytest.raises(ShapeError, match=r"float32\[2\], here it is float64\[2\]"):
        optimizer.load_state_dict(state | {"step": np.array(9), "second_moment.w": np.ones(2, np.float32)})
    assert optimizer.step == 0


def test_optimisers_are_trees():
    optimizer = Adam({"w": np.ones(2)}, lr=0.1)
    names = [name for name, _ in tree.named_leaves(optimizer)]
    assert set(names) == {"learning_rate", "step", "first_moment.w", "second_moment.w"}
    leaves, structure = tree.flatten(optimizer)
    again = tree.unflatten(structure, leaves)
    assert repr(again) == repr(optimizer)
    assert again.step is optimizer.step
    _, same = tree.flatten(optimizer)
    optimizer.lr = 0.2
    assert tree.flatten(optimizer)[1] == same == structure
    optimizer.betas = (0.5, 0.5)
    assert tree.flatten(optimizer)[1] != structure


def test_settings_make_the_same_optimiser_anew():
    optimizer = RMSprop(np.ones(2), lr=0.3, momentum=0.5, centered=True)
    settings = json.loads(json.dumps(optimizer.settings()))
    assert repr(RMSprop(np.ones(2), **settings)) == repr(optimizer)
    assert repr(optimizer) == (
        "RMSprop(lr=0.3, alpha=0.99, eps=1e-08, weight_decay=0.0, momentum=0.5, centered=True; "
        "1 parameters, 2 values, step 0)"
    )
