"""Every row of the table that has a kernel, on random shapes, layouts, dtypes, numbers and parameters.

A row's maker (``row_makers``) draws a program that has the row's box in it, and its arguments. The program
runs in plain NumPy and under the native engine; a quarter of the cases run with bounds checks. A row none of
whose cases was run by a kernel fails, as does a row without a maker. ``BOXGRAD_FUZZ=10000`` runs a tenth as
many cases of each.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import boxgrad as bg
import row_makers_places  # which adds its own to MAKERS
from boxgrad.engines.native import engine
from boxgrad.engines.native.lowering import InNumpy, Map, Reduce
from boxgrad.engines.native.steps import Fallback
from boxgrad.engines.native.table import ROWS
from boxgrad.ops import control
from fuzzing import cases, near
from row_makers import MAKERS

assert row_makers_places.__name__
reached: Counter[str] = Counter()


def boxes(graph: Any) -> set[str]:
    """The names of all boxes, those in loops included."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.primitive is not None:
            found.add(node.primitive.name)
            if node.primitive is control.loop:
                found |= boxes(node.parameters["body"])
    return found


def run(program: Any, inputs: list[Any], checked: bool, name: str) -> Any:
    """Under the native engine; notes whether a kernel ran the row's box."""
    before = os.environ.get("BOXGRAD_NATIVE_CHECK", "")
    if checked:
        os.environ["BOXGRAD_NATIVE_CHECK"] = "1"
    try:
        compiled = bg.compile(program, engine="native")
        results = compiled(*inputs)
        graph = compiled.graph
        _, steps, _ = engine.ENGINE._made[graph]
    finally:
        os.environ["BOXGRAD_NATIVE_CHECK"] = before
    fallen = {step.label for step in steps if isinstance(step, Fallback)}
    ready = graph if name == "identity" else engine.prepared(graph)  # which a pass takes out
    if name in boxes(ready) and not fallen & {name, "scan"}:
        reached[name] += 1
    return results


def width(dtypes: list[np.dtype]) -> np.dtype:
    """The narrowest float among some dtypes."""
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    return min(floats, key=lambda dtype: dtype.itemsize, default=np.dtype(float))


KERNELS = [name for name, row in ROWS.items() if not isinstance(row, InNumpy)]


@pytest.mark.parametrize("name", KERNELS)
def test_row(name):
    @cases(7, 10)
    @given(st.data())
    def fuzz(data):
        program, inputs, units = MAKERS[name](data.draw, name)
        checked = data.draw(st.integers(0, 3)) == 0
        with np.errstate(all="ignore"):
            try:
                wanted = program(*inputs)
            except (OverflowError, TypeError, ValueError):  # a Python number, a negative power
                with pytest.raises((OverflowError, TypeError, ValueError)):
                    run(program, inputs, checked, name)
                return
            got = run(program, inputs, checked, name)
        got, wanted = (x if isinstance(x, tuple) else (x,) for x in (got, wanted))
        narrow = width([x.dtype for x in inputs])
        whole = isinstance(ROWS[name], Map)
        for x, z in zip(got, wanted, strict=True):
            z = np.asarray(z)
            factor = units
            if z.dtype.kind == "f" and narrow.itemsize < z.dtype.itemsize:
                factor *= float(np.finfo(narrow).eps / np.finfo(z.dtype).eps)
            finite = np.abs(z[np.isfinite(z)], dtype=np.float64) if z.dtype.kind == "f" else np.zeros(0)
            near(x, z, factor, None if whole else max(1.0, float(np.max(finite, initial=0))))

    reached[name] = 0
    fuzz()
    assert reached[name] > 0, f"no case of {name} was run by a kernel"


def test_every_row_has_a_maker():
    assert set(KERNELS) == set(MAKERS), set(KERNELS) ^ set(MAKERS)
    assert all(isinstance(ROWS[name], Map | Reduce) or MAKERS[name] for name in KERNELS)
