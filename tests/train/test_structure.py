import json

import numpy as np
import pytest

from boxgrad import nn, optim
from boxgrad.optim import schedules
from boxgrad.train import Checkpoint, EarlyStopping, LearningRateSchedule, RunError, structure


def round_trip(value):
    return structure.build(json.loads(json.dumps(structure.describe(value))))


def test_a_model_is_built_with_its_structure_and_takes_its_weights():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        np.tanh,
        nn.relu,
        nn.Linear(64, 3),
    ).initialise(3)
    built = round_trip(model)
    assert repr(built) == repr(model)
    structure.restore(built, structure.arrays_of(model), "model")
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(built(x), model(x))  # in training: the same dropout stream
    np.testing.assert_array_equal(built.eval()(x), model.eval()(x))


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_an_optimiser_is_built_and_goes_on_where_it_was(kind):
    def gradients(number):
        return {"weight": np.full((2, 3), number, np.float32), "bias": np.ones(2, np.float32)}

    model, other = nn.Linear(3, 2, seed=0), nn.Linear(3, 2, seed=0)
    optimizer = kind(model, lr=0.1)
    optimizer.update(model, gradients(1))
    built = round_trip(optimizer)
    structure.restore(built, structure.arrays_of(optimizer), "optimizer")
    structure.restore(other, structure.arrays_of(model), "model")
    optimizer.update(model, gradients(2))
    built.update(other, gradients(2))
    assert built.lr == 0.1
    np.testing.assert_array_equal(other.weight, model.weight)


def test_callbacks_and_schedules_are_built():
    schedule = schedules.WarmUp(schedules.OneCycle(0.1, steps=10), steps=5)
    callbacks = [LearningRateSchedule(schedule), EarlyStopping("val_accuracy"), Checkpoint(steps=3)]
    assert round_trip(callbacks) == callbacks
    assert round_trip(nn.cross_entropy) is nn.cross_entropy
    assert round_trip([float("inf"), 0.1, None, ("a", {"b": True})]) == [
        float("inf"),
        0.1,
        None,
        ("a", {"b": True}),
    ]


def test_other_peoples_classes_and_functions_cannot_be_described():
    class Mine(nn.Module):
        def __init__(self):
            self.weight = np.zeros(2, np.float32)

    with pytest.raises(structure.UnknownError, match="Mine"):
        structure.describe(nn.Sequential(Mine()))
    with pytest.raises(structure.UnknownError, match="lambda"):
        structure.describe(lambda x: x)


@pytest.mark.parametrize(
    "described",
    [
        {"object": "os.system", "attributes": {}},
        {"object": "nn.np", "attributes": {}},
        {"object": "nn.relu", "attributes": {}},
        {"object": "nn.__builtins__", "attributes": {}},
        {"object": "optim.schedules.math", "attributes": {}},
        {"function": "callbacks.write_atomically.__globals__"},
        {"function": "nn.Linear"},
        {"class": "callbacks.Path"},
        {"ufunc": "load"},
        {"object": "nn.Linear"},
        {"array": [10**6, 10**6], "dtype": "float32"},
        {"array": [2], "dtype": "object"},
        {"array": [-2], "dtype": "float32"},
        {"surprise": 1},
        {},
    ],
)
def test_a_description_cannot_reach_anything_else(described):
    with pytest.raises(RunError):
        structure.build(described)


def test_another_model_is_refused_by_name_and_shape():
    arrays = structure.arrays_of(nn.Linear(3, 2))
    with pytest.raises(RunError, match=r"weight is \(2, 4\) float32, saved \(2, 3\) float32"):
        structure.restore(nn.Linear(4, 2), arrays, "model")
    with pytest.raises(RunError, match="bias is only in the checkpoint"):
        structure.restore(nn.Linear(3, 2, bias=False), arrays, "model")


def test_tied_arrays_stay_tied():
    first = nn.Linear(2, 2)
    second = nn.Linear(2, 2)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    structure.restore(model, structure.arrays_of(model), "model")
    assert model[0].weight is model[1].weight
