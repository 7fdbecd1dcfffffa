"""What has no test: primitives without a sample, NumPy functions without a call, methods never called."""

from __future__ import annotations

import numpy as np

from boxgrad.engines.native.lowering import InNumpy
from boxgrad.engines.native.table import ROWS
from boxgrad.graph.primitive import NoDerivative, all_primitives, primitive_of
from boxgrad.trace import Box
from boxgrad.trace.table import composites, refused
from numpy_calls import TABLES, read
from samples import SAMPLES

# What a box offers to the tracer, not to its user.
INSIDE = {"bind", "is_scalar", "made", "memory", "node", "view_through", "write"}
# Functions that give texts and files.
WRITTEN = {np.array2string, np.array_repr, np.array_str, np.save, np.savetxt, np.savez, np.savez_compressed}


def described(callables):
    return sorted(f"{getattr(f, '__module__', '?')}.{f.__name__}" for f in callables)


def test_every_primitive_has_a_sample():
    missing = [p.name for p in all_primitives() if p.name not in {sample.primitive for sample in SAMPLES}]
    assert not missing, f"add a row to tests/samples.py for: {', '.join(missing)}"


def test_every_derivative_has_a_smooth_sample():
    """A primitive with a rule has a row whose derivatives are compared to second order."""
    compared = {sample.primitive for sample in SAMPLES if sample.order == 2}
    missing = [
        p.name for p in all_primitives() if not isinstance(p.vjp, NoDerivative) and p.name not in compared
    ]
    assert not missing, f"add a row of order 2 for: {', '.join(missing)}"


def test_samples_are_of_primitives():
    names = {p.name for p in all_primitives()}
    assert {sample.primitive for sample in SAMPLES} <= names


def test_every_primitive_has_a_row_in_the_native_engine():
    """A kernel, or a fallback that says why NumPy runs it."""
    missing = [p.name for p in all_primitives() if p.name not in ROWS]
    assert not missing, f"add a row to engines/native/table.py for: {', '.join(missing)}"
    unknown = set(ROWS) - {p.name for p in all_primitives()}
    assert not unknown, f"rows of engines/native/table.py for no primitive: {unknown}"
    assert all(row.reason for row in ROWS.values() if isinstance(row, InNumpy))


def test_every_numpy_function_has_a_call():
    covered = {f for table, *_ in TABLES for f in table} | WRITTEN
    same_meaning = {f for f in composites if any(composites[f] is composites.get(g) for g in covered)}
    missing = set(composites) - covered - same_meaning
    assert not missing, f"add a row to tests/numpy_calls.py for: {', '.join(described(missing))}"


def test_calls_are_of_traced_functions():
    """No row is of a function that is neither a composite nor refused: its calls would test nothing."""
    unknown = [f for table, *_ in TABLES for f in table if f not in composites and not primitive_of(f)]
    assert not unknown, described(unknown)


def test_no_function_is_both_traced_and_refused():
    assert not set(composites) & set(refused)


def test_every_method_is_called():
    """Public methods and properties of a box occur in a call."""
    texts = " ".join(text for table, *_ in TABLES for text in table.values())
    plain = {"ndim", "size", "shape", "dtype", "itemsize", "nbytes", "item", "tolist", "nonzero"}
    methods = {name for name in dir(Box) if not name.startswith("_")} - INSIDE - plain
    missing = sorted(name for name in methods if f".{name}" not in texts)
    assert not missing, f"call these methods in tests/numpy_calls.py: {', '.join(missing)}"


def test_a_call_reads_its_inputs_from_its_text():
    row = read("np.add(x, v)", True)
    np.testing.assert_array_equal(row.call(*row.inputs), row.inputs[0] + row.inputs[1])
