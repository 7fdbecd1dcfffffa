"""Kernels in several modules: how they are divided, compiled by threads, and the same to the last bit."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim
from boxgrad.engines.native import cache, chain, convolution, jit, nest, pool
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.machine import host
from boxgrad.engines.native.steps import HEAD


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pool.pool()  # whose code is cached too, when it is first used
    monkeypatch.setenv("BOXGRAD_CACHE", str(tmp_path / "objects"))
    for module, limit in ((chain, "WORTH"), (convolution, "GRAIN"), (nest, "GRAIN")):
        monkeypatch.setattr(module, limit, 1)  # so that kernels of small arrays are chained
    return tmp_path / "objects"


def written(lengths: list[int]) -> list[str]:
    """Functions of that many instructions."""
    functions = [Function(f"k{number}", HEAD) for number in range(len(lengths))]
    for function, length in zip(functions, lengths, strict=True):
        for _ in range(length):
            function.value("add i64 %chunk, 1")
    return [function.text() for function in functions]


def trained(steps: int = 2) -> list[np.ndarray]:
    """The weights after some steps of a net whose kernels are chained."""
    state = np.random.default_rng(3)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8 * 12 * 10, 5),
    )  # fmt: skip
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    model.load_state_dict(
        {name: (0.1 * state.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    )
    optimizer = optim.Adam(model, lr=1e-3)
    x, y = state.standard_normal((32, 3, 24, 20)).astype(np.float32), state.integers(0, 5, 32)

    @bg.compile(engine="native")
    def step(model, optimizer, x, y):
        value, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
        optimizer.update(model, gradients)
        return value

    losses = [np.asarray(step(model, optimizer, x, y)) for _ in range(steps)]
    assert "→" in str(step.report())
    return [*losses, *(np.array(value) for value in model.state_dict().values())]


@pytest.mark.parametrize("lengths", [[3], [9000], [4000, 10, 3000, 3000, 20, 3000, 3000, 5], [9000] * 2])
def test_every_function_is_defined_once_and_known_to_all(lengths):
    functions = written(lengths)
    parts = jit.modules(functions)
    assert len(parts) == max(1, min(jit.MOST_MODULES, sum(map(len, functions)) // jit.MODULE))
    defined = [text for part in parts for text in part if text.startswith("define")]
    assert sorted(defined) == sorted(functions)
    for part in parts:
        names = re.findall(r"^(?:define|declare) void @(k\d+)\(", "\n".join(part), re.MULTILINE)
        assert sorted(names) == [f"k{number}" for number in range(len(lengths))]
    sizes = [sum(len(text) for text in part if text.startswith("define")) for part in parts]
    assert max(sizes) - min(sizes) <= max(map(len, functions))


def test_the_bits_do_not_depend_on_modules_or_threads(folder, monkeypatch):
    found = []
    for most, threads in ((1, 1), (4, 1), (4, 4)):
        monkeypatch.setattr(jit, "MODULE", 1)
        monkeypatch.setattr(jit, "MOST_MODULES", most)
        monkeypatch.setattr(jit, "available", lambda threads=threads: threads)
        cache.clear()
        found.append(trained())
        assert len(list(cache.files())) == most
    for other in found[1:]:
        for got, wanted in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_only_a_module_that_is_missing_is_compiled(folder, monkeypatch):
    first = trained()
    files = {file: file.read_bytes() for file in cache.files()}
    assert len(files) > 1
    damaged = next(iter(files))
    damaged.write_bytes(b"nonsense")
    texts = []
    made = jit.object_code
    monkeypatch.setattr(jit, "object_code", lambda text, machine: texts.append(text) or made(text, machine))
    for got, wanted in zip(trained(), first, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert len(texts) == 1
    assert {file: file.read_bytes() for file in cache.files()} == files


@pytest.mark.parametrize("changed", ["VERSION", "features", "cpu", "text"])
def test_what_decides_the_code_is_part_of_its_name(changed, monkeypatch):
    machine, text = host(), "define void @f() {\n  ret void\n}"
    names = []
    monkeypatch.setattr(cache, "load", names.append)
    monkeypatch.setattr(cache, "save", lambda name, code: None)
    jit.compiled([text], [], machine)
    if changed == "VERSION":
        monkeypatch.setattr(jit, "VERSION", "another")
    elif changed == "text":
        text += "\n"
    else:
        value = {"features": machine.features + ",-sse4a", "cpu": "x86-64"}[changed]
        machine = type(machine)(**{**{n: getattr(machine, n) for n in machine.__slots__}, changed: value})
    jit.compiled([text], [], machine)
    assert len(set(names)) == 2


def test_an_error_in_a_thread_arrives(monkeypatch):
    monkeypatch.setattr(jit, "available", lambda: 2)
    whole = f'target triple = "{host().triple}"\n' + written([3])[0]
    with pytest.raises(RuntimeError, match="parsing error"):
        jit.object_codes([whole, "nonsense", whole], host())


def test_others_may_use_llvm_meanwhile():
    """Under llvmlite's lock, which generating code does not take."""
    going, failures = threading.Event(), []

    def parse() -> None:
        try:
            while not going.is_set():
                jit.llvm().parse_assembly(written([20])[0]).verify()
        except Exception as error:
            failures.append(error)

    other = threading.Thread(target=parse)
    other.start()
    texts = [f'target triple = "{host().triple}"\n' + text for text in written([400, 500, 600, 700])]
    codes = [jit.object_codes(texts, host()) for _ in range(3)]
    going.set()
    other.join()
    assert not failures
    assert codes[0] == codes[1] == codes[2] == [jit.object_code(text, host()) for text in texts]
