"""A compiled function called again with the same objects, after something in them has changed."""

from __future__ import annotations

import copy
import dataclasses
import gc
import weakref
from collections import OrderedDict, deque

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim
from boxgrad.engines.watch import Watch

ENGINES = ["numpy", "native"]


@dataclasses.dataclass
class Options:
    power: int = 1
    shifts: list[int] = dataclasses.field(default_factory=lambda: [1])


class Scale(nn.Module):
    def __init__(self, factor):
        self.factor = np.full(3, factor)

    def __call__(self, x):
        return x * self.factor


class Double(Scale):
    def __call__(self, x):
        return 2 * super().__call__(x)


class Whole(nn.Module):
    """Reads all that it holds: arrays, modules in lists and dicts, and what is no part of the tree."""

    def __init__(self):
        self.weight = np.arange(1.0, 4.0)
        self.other = np.arange(2.0, 5.0)
        self.parts = [Scale(2.0), Scale(3.0)]
        self.named = {"a": np.ones(3), "b": np.full(3, 5.0)}
        self.pair = (Scale(1.5), [0.5, np.ones(3)])
        self.mode = "plus"
        self.table = {"rows": [1, 2]}
        self.chosen = {1, 2}
        self.options = Options()
        self.inner = None

    def __call__(self, x):
        for part in [*self.parts, self.pair[0], *([self.inner] if self.inner is not None else [])]:
            x = part(x)
        x = x * self.weight if self.mode == "plus" else x - self.weight
        x = x.sum() * np.ones(3) + self.other * self.pair[1][0] + self.pair[1][1]
        for key in sorted(self.named):
            x = x * len(key) + self.named[key]
        return x * sum(self.table["rows"]) + sum(self.chosen) ** self.options.power + sum(self.options.shifts)


class Watched(Whole):
    """Without the kinds of parts for which the tree is walked anew each time."""

    def __init__(self):
        super().__init__()
        self.chosen, self.options = (1, 2), Plain()


class Plain:
    power, shifts = 1, (1,)


def swap(model):
    model.weight, model.other = model.other, model.weight


def move(model):
    """The last entry of one dict becomes the first of the next."""
    last = model.named.pop("b")
    model.parts[0].__dict__["b"] = last
    model.named["b"] = np.zeros(3)


def renamed(model):
    """The same values in the same order; only a name is another, and one array."""
    model.named["c"] = model.named.pop("b")
    model.weight = np.full(3, 8.0)


def other_dict(model):
    model.parts[0].__dict__ = {**vars(model.parts[0]), "factor": np.full(3, 7.0)}


def rebuilt(model):
    weight = model.weight
    del model.weight
    model.weight = weight + 1


CHANGES = {
    "an array": lambda m: setattr(m, "weight", np.full(3, 9.0)),
    "an array in place": lambda m: m.weight.__iadd__(1),
    "an array of another dtype": lambda m: setattr(m, "weight", np.full(3, 9, np.float32)),
    "an array of another shape": lambda m: setattr(m, "weight", np.full((1, 3), 9.0)),
    "an array's own shape": lambda m: setattr(m.weight, "shape", (1, 3)),
    "an array's layout": lambda m: setattr(m, "weight", np.arange(9.0)[::-3]),
    "an array to a float": lambda m: setattr(m, "weight", 2.5),
    "an array to a module's": lambda m: setattr(m, "weight", m.parts[0].factor),
    "two arrays to one": lambda m: setattr(m, "other", m.weight),
    "two arrays": swap,
    "an attribute rebuilt": rebuilt,
    "a text": lambda m: setattr(m, "mode", "minus"),
    "a module": lambda m: m.parts.__setitem__(1, Double(4.0)),
    "a module's class": lambda m: setattr(m.parts[1], "__class__", Double),
    "a module's attributes": other_dict,
    "None to a module": lambda m: setattr(m, "inner", Scale(6.0)),
    "a longer list": lambda m: m.parts.append(Scale(2.0)),
    "a shorter list": lambda m: m.parts.pop(),
    "another list": lambda m: setattr(m, "parts", [Scale(8.0), Scale(9.0)]),
    "another order": lambda m: m.parts.reverse(),
    "an array in a dict": lambda m: m.named.__setitem__("a", np.full(3, 4.0)),
    "a longer dict": lambda m: m.named.__setitem__("cc", np.full(3, 4.0)),
    "a key that moves": move,
    "a key": lambda m: m.named.__setitem__("long", m.named.pop("b")),
    "a key and an array": renamed,
    "a float in a list": lambda m: m.pair[1].__setitem__(0, 0.25),
    "an array in a list in a tuple": lambda m: m.pair[1].__setitem__(1, np.zeros(3)),
    "another tuple": lambda m: setattr(m, "pair", (Scale(3.0), [1.5, np.ones(3)])),
    "a list that is no part of the tree": lambda m: m.table["rows"].append(7),
    "a dict that is no part of the tree": lambda m: m.table.__setitem__("rows", [4]),
    "a set": lambda m: setattr(m, "chosen", {*m.chosen, 5}),
}
DEEPER = {
    "a set in place": lambda m: m.chosen.add(9),
    "a dataclass": lambda m: setattr(m.options, "power", 2),
    "a list in a dataclass": lambda m: m.options.shifts.append(4),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "change"),
    [(Watched, change) for change in CHANGES.values()]
    + [(Whole, change) for change in (CHANGES | DEEPER).values()],
    ids=[f"watched-{name}" for name in CHANGES] + [f"walked-{name}" for name in CHANGES | DEEPER],
)
def test_what_changed_is_seen(engine, kind, change):
    model, x = kind(), np.array([1.0, 2.0, 3.0])
    run = bg.compile(lambda model, x: model(x), engine=engine)
    for _ in range(3):
        np.testing.assert_allclose(run(model, x), copy.deepcopy(model)(x), rtol=1e-12)
    change(model)
    for _ in range(3):
        np.testing.assert_allclose(run(model, x), copy.deepcopy(model)(x), rtol=1e-12)


def test_the_watched_model_is_watched():
    """Else the cases above test less than they say."""
    model = Watched()
    watch = Watch(model, lambda _: None)
    found, structure = bg.tree.flatten(model)
    assert [id(leaf) for leaf in watch.leaves(model)] == [id(leaf) for leaf in found]
    assert watch.structure == structure
    with pytest.raises(TypeError, match="set"):
        Watch(Whole(), lambda _: None)
    for other in (OrderedDict(model.named), [np.ones(3), deque([np.ones(3)])]):
        model.named = other
        assert watch.leaves(model) is None
        with pytest.raises(TypeError, match="not watched"):
            Watch(model, lambda _: None)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_array_twice_or_not(engine):
    def step(x, y):
        x += 1
        return np.sum(x * y)

    run = bg.compile(step, engine=engine)
    for same in (False, True, True, False, False, True):
        x = np.arange(3.0)
        y = x if same else np.arange(3.0)
        a = np.arange(3.0)
        assert run(x, y) == step(a, a if same else np.arange(3.0))
        np.testing.assert_array_equal(x, np.arange(1.0, 4.0))


@pytest.mark.parametrize("engine", ENGINES)
def test_arguments_by_name(engine):
    run = bg.compile(lambda a, *, b, c=2: (a - b) * c, engine=engine)
    x, y = np.arange(3.0), np.ones(3)
    for _ in range(2):
        np.testing.assert_array_equal(run(x, b=y), (x - y) * 2)
        np.testing.assert_array_equal(run(x, c=3, b=y), (x - y) * 3)
        np.testing.assert_array_equal(run(x, b=y, c=4), (x - y) * 4)
        np.testing.assert_array_equal(run(b=x, a=y), (y - x) * 2)
        np.testing.assert_array_equal(run(x, b=2.0), (x - 2.0) * 2)
        np.testing.assert_array_equal(run(x, b=np.array(2.0)), (x - 2.0) * 2)
        np.testing.assert_array_equal(run(x[::-1], b=y), (x[::-1] - y) * 2)
        np.testing.assert_array_equal(run(x[1:], b=y[:2]), (x[1:] - y[:2]) * 2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [str, np.str_, np.datetime64, np.int64, int, bool])
def test_what_is_no_array_by_its_value(engine, kind):
    texts = {str: "ab", np.str_: "ab", np.datetime64: ["2020-01-01", "2020-01-02"]}

    def f(x, y):
        return x * (2 if y == kind(texts.get(kind, "01")[0]) else 3) if kind in texts else x * y

    run = bg.compile(f, engine=engine)
    for text in [*texts.get(kind, "01")] * 2:
        value = kind(text) if kind in texts else kind(int(text))
        np.testing.assert_array_equal(run(np.ones(2), value), f(np.ones(2), value))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_array_that_became_read_only_is_not_written(engine):
    model, x = Scale(2.0), np.ones(3)

    @bg.compile(engine=engine)
    def step(model, x):
        model.factor += x
        return np.sum(model.factor)

    for _ in range(3):
        step(model, x)
    model.factor.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        step(model, x)
    np.testing.assert_array_equal(model.factor, np.full(3, 5.0))
    model.factor.flags.writeable = True
    assert step(model, x) == 18.0


@pytest.mark.parametrize("engine", ENGINES)
def test_training_goes_on_after_weights_are_replaced(engine):
    def step(model, optimizer, x, y):
        value, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
        optimizer.update(model, gradients)
        return value

    random = np.random.default_rng(0)
    x, y = random.normal(size=(4, 5)), random.integers(0, 3, 4)

    def losses(step):
        model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).initialise(0)
        optimizer = optim.Adam(model, lr=0.1)
        found = [step(model, optimizer, x, y) for _ in range(3)]
        model.load_state_dict(
            {name: (value / 2).astype(value.dtype) for name, value in model.state_dict().items()}
        )
        found += [step(model, optimizer, x[:3], y[:3]) for _ in range(2)]
        optimizer.learning_rate = np.array(0.01)
        found += [step(model, optimizer, x, y) for _ in range(2)]
        model.eval()
        found += [step(model, optimizer, x, y) for _ in range(2)]
        model.layers = None
        return [*found, step(model, optimizer, x, y)]

    np.testing.assert_allclose(losses(bg.compile(step, engine=engine)), losses(step), rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_kept_alive(engine):
    run = bg.compile(lambda model, x: model(x), engine=engine)
    for _ in range(3):
        model, x = Watched(), np.ones(3)
        for _ in range(2):
            run(model, x)
        alive = [weakref.ref(part) for part in (model, model.parts[0], model.weight, x)]
        del model, x
        gc.collect()
        assert [part() is None for part in alive] == [True] * 4
    assert not run._watches
