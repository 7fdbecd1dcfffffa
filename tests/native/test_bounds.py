"""``BOXGRAD_NATIVE_CHECK``: accesses are compared with buffers' bounds, and a kernel beyond them is named."""

from __future__ import annotations

import os

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.bench.models import CASES
from boxgrad.bench.steps import boxgrad_step
from boxgrad.engines.native import cache, checking, jobs, microkernel, packing, pool, product, vector
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.outside import OutsideError
from boxgrad.engines.native.steps import HEAD, addresses
from numeric import assert_within_units
from samples import SAMPLES

THOROUGH = int(os.environ.get("BOXGRAD_FUZZ", "0")) >= 1000


@pytest.fixture
def checked(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1")


def native(function, *inputs):
    return bg.compile(function, engine="native")(*inputs)


@pytest.mark.parametrize("part", range(8))
def test_samples_stay_inside(checked, part):
    """Every sample, with results as without checks; what a call must write begins as NaN."""
    for sample in SAMPLES[part::8]:
        assert_within_units(native(sample.call, *sample.inputs), sample.call(*sample.inputs))


@pytest.mark.parametrize("name", [name for name in CASES if THOROUGH or name in ("mlp", "lenet")])
def test_models_stay_inside(name, monkeypatch):
    """Whole training steps, to the same bits as without checks."""
    losses = []
    for check in ("0", "1"):
        monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", check)
        step, _ = boxgrad_step(CASES[name], CASES[name].state(), "native")
        losses.append([float(step()) for _ in range(2)])
    assert losses[0] == losses[1]


def shifted(class_, name, by, position=1):
    """A method of ``Lanes`` whose pointer is some elements off."""
    method = getattr(class_, name)

    def moved(self, *arguments):
        x = arguments[0] if name.startswith("store") else None
        size = (x.dtype if x is not None else arguments[position]).itemsize
        at = 1 if x is not None else 0
        arguments = list(arguments)
        arguments[at] = self.function.at(arguments[at], by, size)
        return method(self, *arguments)

    return moved


def unit(x):
    return np.tanh(x) * 2


ROWS = np.array([0, 4, 3])
PROGRAMS = {
    "elementwise": (unit, (np.ones((3, 7)),)),
    "whole vectors": (unit, (np.ones(64, np.float32),)),
    "strided": (lambda x: x[::2, ::-1].T * 2, (np.ones((5, 2)),)),
    "reduction": (lambda x: np.sum(x * x, axis=0), (np.ones((5, 9), np.float32),)),
    "product": (lambda x: x @ x.T, (np.ones((9, 13), np.float32),)),
    "convolution": (lambda x: bg.conv(x, np.ones((5, 2, 3, 3))), (np.ones((2, 2, 6, 6)),)),
    "scatter": (bg.grad(lambda x: np.sum(x[ROWS] ** 2)), (np.ones((5, 3), np.float32),)),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_write_one_element_too_far(checked, monkeypatch, program):
    monkeypatch.setattr(vector.Lanes, "store", shifted(vector.Lanes, "store", 1))
    function, inputs = PROGRAMS[program]
    with pytest.raises(OutsideError, match=r"wrote .* bytes at byte"):
        native(function, *inputs)
    monkeypatch.undo()
    assert_within_units(native(function, *inputs), function(*inputs))


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_read_one_element_off(checked, monkeypatch, program, by):
    monkeypatch.setattr(vector.Lanes, "load", shifted(vector.Lanes, "load", by))
    function, inputs = PROGRAMS[program]
    with pytest.raises(OutsideError, match=r"read .* bytes at byte"):
        native(function, *inputs)


def test_a_row_looked_up_beyond_the_table(checked, monkeypatch):
    load_at = vector.Lanes.load_at

    def far(self, pointer, offsets, dtype, mask):
        return load_at(self, self.function.at(pointer, 3, dtype.itemsize), offsets, dtype, mask)

    monkeypatch.setattr(vector.Lanes, "load_at", far)
    table = np.ones(15, np.float32)
    with pytest.raises(OutsideError, match=r"'gather.multiply' read 4 bytes at byte 68 of the argument 't'"):
        native(lambda t, i: t[i] * 2.0, table, np.array([0, 14]))


def test_an_element_of_the_micro_kernel(checked, monkeypatch):
    run = microkernel.Tile.run
    monkeypatch.setattr(microkernel.Tile, "run", lambda self, a, *rest: run(self, self.f.at(a, 1, 4), *rest))
    with pytest.raises(OutsideError, match=r"'contract' read 4 bytes at byte 400 of the argument 'x'"):
        native(lambda x, y: x @ y, np.ones((10, 10), np.float32), np.ones((10, 10), np.float32))


def test_a_panel_beyond_the_scratch_memory(checked, monkeypatch):
    pack = packing.pack

    def far(f, source, dtype, steps, rows, columns, panel, width, *rest):
        pack(f, source, dtype, steps, rows, columns, f.at(panel, width, dtype.itemsize), width, *rest)

    monkeypatch.setattr(product, "pack", far)
    with pytest.raises(OutsideError, match=r"'contract' wrote .* of an intermediate value"):
        native(lambda x, y: x @ y, np.ones((10, 10), np.float32), np.ones((10, 10), np.float32))


def test_a_wrong_table_of_addresses(checked, monkeypatch):
    tables = jobs._table

    def wrong(values, *rest):
        table = tables(values, *rest)
        table[:, 0, 1] += 8
        return table

    monkeypatch.setattr(jobs, "_table", wrong)
    with pytest.raises(OutsideError, match=r"of the argument 'x'"):
        native(unit, np.ones((3, 7)))


def test_steps_of_a_loop(checked, monkeypatch):
    monkeypatch.setattr(vector.Lanes, "store", shifted(vector.Lanes, "store", 4))
    with pytest.raises(OutsideError, match=r"where: .*test_bounds.py:\d+, in <lambda>"):
        native(lambda x: bg.scan(lambda c, r: (np.tanh(c + r), c), x[0], x)[1], np.ones((6, 4)))


def test_the_message(checked, monkeypatch):
    monkeypatch.setattr(vector.Lanes, "store", shifted(vector.Lanes, "store", 1))

    def area(width, height):
        surface = width * height
        return surface + 1

    with pytest.raises(OutsideError) as caught:
        native(area, np.ones(3), np.ones(3))
    what, where, other, why, instead = str(caught.value).splitlines()
    assert what == "the kernel 'multiply+add' wrote 24 bytes at byte 8 of a result, which has 24"
    assert where.startswith("  where:   multiply at test_bounds.py:")
    assert where.endswith("in area: surface = width * height")
    assert other.endswith("in area: return surface + 1")
    assert why.startswith("  why:     this is a defect of the native engine")
    assert instead.startswith("  instead: engine='numpy'")


def test_all_threads_at_once(checked, monkeypatch):
    """Several chunks leave their memory: one of them is told, whole."""
    monkeypatch.setattr(vector.Lanes, "load", shifted(vector.Lanes, "load", 1 << 40))
    bg.set_num_threads(4)
    try:
        with pytest.raises(OutsideError, match=r"read 32 bytes at byte 8796\d{9} of the argument 'x'"):
            native(unit, np.ones((1000, 1000)))
    finally:
        bg.set_num_threads(2)


def test_arguments_are_left_alone(checked, monkeypatch):
    """The defect is found before anything is written."""
    monkeypatch.setattr(vector.Lanes, "store", shifted(vector.Lanes, "store", 1))

    def step(p):
        p += 1

    p = np.zeros(4, np.float32)
    with pytest.raises(OutsideError, match=r"of the argument 'p', which has 16"):
        native(step, p)
    np.testing.assert_array_equal(p, np.zeros(4))


def test_an_unwritten_value_is_seen(checked, monkeypatch):
    """What is read before it was written is NaN, not by chance the last call's."""
    monkeypatch.setattr(packing, "pack", lambda *_: None)
    monkeypatch.setattr(product, "pack", lambda *_: None)
    y = native(lambda x, y: x @ y, np.ones((10, 10), np.float32), np.ones((10, 10), np.float32))
    assert np.isnan(y).all()


def test_checks_are_another_program(tmp_path, monkeypatch):
    """Objects with and without checks have different keys; without, the text has no trace of them."""
    pool.pool()
    monkeypatch.setenv("BOXGRAD_CACHE", str(tmp_path / "objects"))
    texts = []
    joined = Function.text
    monkeypatch.setattr(Function, "text", lambda self, *body: texts.append(joined(self, *body)) or texts[-1])
    for check in ("0", "1", "0"):
        monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", check)
        native(unit, np.ones((3, 7)))
    assert len(list(cache.files())) == 2
    assert texts[0] == texts[2]
    assert "outside" not in texts[0]
    assert "outside" in texts[1]


@pytest.mark.parametrize(
    "line",
    [
        "store ptr {0}, ptr {0}, align 8", "%x = load float, ptr %unknown, align 4",
        "%x = inttoptr i64 1 to ptr", "%x = getelementptr i8, ptr %elsewhere, i64 8",
        "call void @free(ptr {0})", "%x = load <4 x i64>, ptr {1}, align 8",
    ],
)  # fmt: skip
def test_nothing_goes_unchecked(line):
    """An instruction that is not understood is refused, where code is made."""
    f = Function("k", HEAD)
    (pointer,) = addresses(f, 1)
    f.do(line.format(pointer, f.slot("i64")))
    with pytest.raises(AssertionError, match=r"not checked"):
        checking.text_of(f, 2)


def test_masks_that_are_computed(checked):
    """Only the lanes that a mask lets through are compared."""
    f = Function("k", HEAD)
    (pointer,) = addresses(f, 1)
    stored = f"<4 x float> zeroinitializer, ptr {pointer}, i32 4, <4 x i1> %m"
    f.do(f"call void @llvm.masked.store.v4f32.p0({stored})")
    text = checking.text_of(f, 2)
    assert "<i64 0, i64 4, i64 8, i64 12>" in text
    assert "and <4 x i1>" in text


def test_one_of_two_pointers():
    """The bounds are those of the one that is chosen; a register may be one of them."""
    f = Function("k", HEAD)
    first, second = addresses(f, 2)
    chosen = f.value(f"select i1 %c, ptr {first}, ptr {second}")
    f.load("float", f.value(f"select i1 %d, ptr {chosen}, ptr {f.slot('<8 x float>')}"))
    text = checking.text_of(f, 2)
    assert text.count("select i1 %c, i64") == 3
    assert text.count("select i1 %d, i64") == 3


@pytest.mark.parametrize(
    ("kind", "size"), [("i1", 1), ("i8", 1), ("<8 x float>", 32), ("[3 x <2 x double>]", 48), ("ptr", 8)]
)
def test_sizes(kind, size):
    assert checking.size_of(kind) == size
