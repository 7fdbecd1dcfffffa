"""Other machines: every sample runs with narrower vectors, and compiles for processors that are not here."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.engines.native import engine
from boxgrad.engines.native.machine import host, machine_of
from boxgrad.engines.native.table import ROWS
from numeric import assert_within_units, is_real
from samples import SAMPLES

WIDTHS = {"128": 16, "avx2": 32, "avx512": 64}
TARGETS = {
    "avx512": ("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx512f,+avx512vl,+fma,+avx2"),
    "avx2": ("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma"),
    "sse2": ("x86_64-unknown-linux-gnu", "x86-64", ""),
    "aarch64": ("aarch64-unknown-linux-gnu", "cortex-a72", "+neon"),
    "apple": ("arm64-apple-darwin", "apple-m1", "+neon"),
    "windows": ("x86_64-pc-windows-msvc-elf", "haswell", "+avx2,+fma"),
}  # fmt: skip
PARTS = 4


@pytest.fixture(params=WIDTHS)
def narrow(request, monkeypatch):
    """This machine with no more than so many bits in a vector."""
    machine = host(request.param)
    if machine.vector_bytes < WIDTHS[request.param]:
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setattr(engine, "host", lambda: machine)
    return machine


@pytest.mark.parametrize("part", range(PARTS))
def test_samples_on_narrower_vectors(narrow, part):
    for sample in SAMPLES[part::PARTS]:
        got = bg.compile(sample.call, engine="native")(*sample.inputs)
        assert_within_units(got, sample.call(*sample.inputs))


def test_gradients_in_float32_on_narrower_vectors(narrow):
    """A few of each primitive."""
    seen: dict[str, int] = {}
    for sample in SAMPLES:
        seen[sample.primitive] = seen.get(sample.primitive, 0) + 1
        if not sample.order or seen[sample.primitive] % 12 != 1:
            continue
        inputs = [
            x.astype(np.float32) if isinstance(x, np.ndarray) and is_real(x) else x for x in sample.inputs
        ]
        chosen = [i for i, x in enumerate(inputs) if is_real(x)]
        gradient = bg.grad(lambda *xs, call=sample.call: np.sum(call(*xs) ** 2), argnums=chosen)
        for got, wanted in zip(
            bg.compile(gradient, engine="native")(*inputs), gradient(*inputs), strict=True
        ):
            assert_within_units(got, wanted, 512, np.float32)


def test_a_network_on_narrower_vectors(narrow):
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, seed=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(80, 4, seed=2),
    )  # fmt: skip
    x, y = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32), np.array([0, 1, 3])
    f = bg.value_and_grad(lambda m: nn.cross_entropy(m(x), y))
    (value, slopes), (wanted, exact) = bg.compile(f, engine="native")(model), f(model)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    for (name, a), b in zip(slopes.state_dict().items(), exact.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def compiles(target, samples):
    machine = machine_of(*TARGETS[target])
    beginning = b"\xcf\xfa\xed\xfe" if target == "apple" else b"\x7fELF"
    for sample in samples:
        graph = bg.trace(sample.call, *sample.inputs)
        assert engine.object_of(graph, machine).startswith(beginning), sample.name


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("target", ["avx512", "aarch64"])
def test_every_sample_compiles(target, part):
    """All emitters, AVX-512's tiles of 14 rows and Arm's instructions included."""
    compiles(target, SAMPLES[part::PARTS])


@pytest.mark.parametrize("target", ["avx2", "sse2", "apple", "windows"])
def test_samples_compile(target):
    compiles(target, SAMPLES[::9])


def test_samples_reach_every_row():
    """So what compiles above is all there is."""
    assert set(ROWS) <= {sample.primitive for sample in SAMPLES}


@pytest.mark.parametrize(("target", "size"), [("avx512", 64), ("avx2", 32), ("sse2", 16), ("aarch64", 16)])
def test_registers(target, size):
    assert machine_of(*TARGETS[target]).vector_bytes == size
